-- Slots: over how many of them a queue is split in the dispatch. Its settings have their truth here.

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

CALL haul.lock_for_change('haul.queue');
ALTER TABLE haul.queue ADD COLUMN slots smallint NOT NULL DEFAULT 1;

COMMENT ON COLUMN haul.receipt.owner IS
    'Who sees to it: the process that accepted it, then whoever took it for repair; all zeros: nobody.';
