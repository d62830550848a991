-- Gives receipts to nobody. $1: their ids.
UPDATE haul.receipt SET owner = '00000000-0000-0000-0000-000000000000' WHERE id = ANY ($1::uuid[])
