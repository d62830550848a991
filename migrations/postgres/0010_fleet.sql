-- The fleet: what processes tell about themselves, beside their heartbeats.

CALL haul.lock_for_change('haul.process');
ALTER TABLE haul.process
    ADD COLUMN since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN about text NOT NULL DEFAULT '';
COMMENT ON COLUMN haul.process.since IS 'When it was first heard of.';
COMMENT ON COLUMN haul.process.about IS 'Host, version, slots and the like, as JSON; empty when it told nothing.';
