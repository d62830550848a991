-- Deletes receipts. $1: their ids. Those that are gone already are no fault.
DELETE FROM haul.receipt WHERE id = ANY ($1::uuid[])
