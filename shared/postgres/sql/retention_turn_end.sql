-- Gives the turn at retention back.
SELECT pg_advisory_unlock(hashtextextended('haul.retention', 0)) AS "given_back!"
