-- Schedules by id. ?1: ids, a JSON array of hex.
SELECT id AS "id: Uuid", tenant, name, version, paused AS "paused: bool", spec, template, source, fired_through,
    next_at, last_job AS "last_job: Uuid", runs, problem, created_at, updated_at
FROM schedule WHERE id IN (SELECT unhex(value) FROM json_each(?1))
