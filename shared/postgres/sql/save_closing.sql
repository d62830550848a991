-- Writes down how far history is closed and swept. $1: closed through; $2: what is next; $3: the transactions that this
-- waits for; $4: swept through.
UPDATE haul.closing SET closed_through = $1, next_through = $2, waits_for = $3, swept_through = $4
