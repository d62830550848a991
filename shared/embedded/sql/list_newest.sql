-- Candidates for a list, newest first, and which of them match it.
--
-- ?1: before this id; ?2: from this id on; ?3: tenant; ?4: queue or null; ?5: kind or null; ?6: whether the options are
-- wanted; ?7: whether only unsettled ones match; ?8: how many candidates at most.
SELECT job.id AS "id: Uuid", CASE WHEN ?6 THEN job.options END AS "options?: String",
    job.tenant = ?3 AND (?4 IS NULL OR job.queue = ?4) AND (?5 IS NULL OR job.kind = ?5)
        AND NOT (?7 AND EXISTS (SELECT 1 FROM outcome WHERE outcome.id = job.id)) AS "matches!: bool"
FROM job
WHERE job.id < ?1 AND job.id >= ?2
ORDER BY job.id DESC
LIMIT ?8
