-- What is left of a partition. $1: its name. Null: it is gone; -1: it is a table of its own; 0: it is attached; 1: it is
-- being detached.
SELECT CASE WHEN pg_class.oid IS NULL THEN NULL WHEN pg_inherits.inhparent IS NULL THEN -1
    ELSE inhdetachpending::integer END AS state
FROM (SELECT to_regclass($1) AS oid) AS asked
LEFT JOIN pg_class ON pg_class.oid = asked.oid
LEFT JOIN pg_inherits ON inhrelid = asked.oid
