-- How far history is closed.
SELECT closed_through FROM haul.closing
