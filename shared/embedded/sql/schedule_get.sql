-- A schedule by its name. ?1: tenant; ?2: name. No row: there is none.
SELECT id AS "id: Uuid", tenant, name, version, paused AS "paused: bool", spec, template, source, fired_through,
    next_at, last_job AS "last_job: Uuid", runs, problem, created_at, updated_at
FROM schedule WHERE tenant = ?1 AND name = ?2
