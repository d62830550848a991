-- Slots: over how many of them a queue is split in the dispatch. Its settings have their truth here.
ALTER TABLE queue ADD COLUMN slots INTEGER NOT NULL DEFAULT 1;
