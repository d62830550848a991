-- Gives receipts to nobody, as if they had never been taken. $1: their ids.
UPDATE haul.receipt SET owner = '00000000-0000-0000-0000-000000000000', taken_at = NULL
WHERE id = ANY ($1::uuid[])
