-- Slots: over how many of them a queue is split in the dispatch. Its settings have their truth here.

CALL haul.lock_for_change('haul.queue');
ALTER TABLE haul.queue ADD COLUMN slots smallint NOT NULL DEFAULT 1;

COMMENT ON COLUMN haul.receipt.owner IS
    'Who sees to it: the process that accepted it, then whoever took it for repair; all zeros: nobody.';
