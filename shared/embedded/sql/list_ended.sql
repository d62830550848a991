-- Candidates for a list of jobs that ended in a state, newest first, and which of them match it.
--
-- ?1: before this id; ?2: from this id on; ?3: tenant; ?4: queue or null; ?5: kind or null; ?6: whether the options are
-- wanted; ?7: the state; ?8: how many candidates at most.
SELECT outcome.id AS "id: Uuid", CASE WHEN ?6 THEN job.options END AS "options?: String",
    job.tenant = ?3 AND (?4 IS NULL OR job.queue = ?4) AND (?5 IS NULL OR job.kind = ?5) AS "matches!: bool"
FROM outcome INDEXED BY outcome_by_state
CROSS JOIN job ON job.id = outcome.id
WHERE outcome.tenant = ?3 AND outcome.state = ?7 AND outcome.id < ?1 AND outcome.id >= ?2
ORDER BY outcome.id DESC
LIMIT ?8
