-- Forgets every process: whoever opens the ledger has it alone, so they are all gone.
DELETE FROM process
