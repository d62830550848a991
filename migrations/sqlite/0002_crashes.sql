-- Crashes: failures that took the process that ran them down with them. 0 or 1.
ALTER TABLE failure ADD COLUMN crashed INTEGER NOT NULL DEFAULT 0;
