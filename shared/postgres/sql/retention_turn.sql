-- Takes the turn at retention, for this session. False: another has it.
SELECT pg_try_advisory_lock(hashtextextended('haul.retention', 0)) AS "taken!"
