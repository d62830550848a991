-- Candidates for a list of unsettled jobs in closed history, newest first, and which of them match it.
--
-- ?1: before this id; ?2: from this id on; ?3: tenant; ?4: queue or null; ?5: kind or null; ?6: whether the options are
-- wanted; ?7: how many candidates at most.
SELECT straggler.id AS "id: Uuid", CASE WHEN ?6 THEN job.options END AS "options?: String",
    job.tenant = ?3 AND (?4 IS NULL OR job.queue = ?4) AND (?5 IS NULL OR job.kind = ?5) AS "matches!: bool"
FROM straggler
CROSS JOIN job ON job.id = straggler.id
WHERE straggler.id < ?1 AND straggler.id >= ?2
ORDER BY straggler.id DESC
LIMIT ?7
