-- Crashes: failures that took the process that ran them down with them.

-- Locks a table for a change of it, trying for a moment at a time: whoever waits for such a lock has everybody else wait
-- behind it. For migrations.
CREATE PROCEDURE haul.lock_for_change(changed regclass)
LANGUAGE plpgsql AS $$
DECLARE
    turns_left integer := 300;
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    LOOP
        BEGIN
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', changed);
            RETURN;
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

-- The column is there at once, whatever the size of the table.
CALL haul.lock_for_change('haul.failure');
ALTER TABLE haul.failure ADD COLUMN crashed boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN haul.failure.crashed IS 'Whether it took the process that ran it down with it.';
