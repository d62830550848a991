-- Crashes: failures that took the process that ran them down with them.
--
-- The lock is tried for in short turns: while one waits for it, behind a backup perhaps, every load and every failure
-- would wait behind that one. The column itself is there at once, whatever the size of the table.
DO $$
DECLARE
    turns_left integer := 300;
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    LOOP
        BEGIN
            LOCK TABLE haul.failure IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            turns_left := turns_left - 1;
            IF turns_left = 0 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.8);
        END;
    END LOOP;
END
$$;
ALTER TABLE haul.failure ADD COLUMN crashed boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN haul.failure.crashed IS 'Whether it took the process that ran it down with it.';
