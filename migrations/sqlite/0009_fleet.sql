-- The fleet: what processes tell about themselves, beside their heartbeats.
ALTER TABLE process ADD COLUMN since INTEGER NOT NULL DEFAULT 0; -- when it was first heard of
ALTER TABLE process ADD COLUMN about TEXT NOT NULL DEFAULT ''; -- JSON; empty when it told nothing
