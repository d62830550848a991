-- Takes the lock of the one process that keeps a memory dispatch over this ledger. False: another process holds it.
SELECT pg_try_advisory_lock(hashtextextended('haul.exclusive', 0)) AS "locked!"
