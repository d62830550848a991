-- Where schedules are. ?1: ids, a JSON array of hex.
SELECT id AS "id: Uuid", version, paused AS "paused: bool", fired_through, last_job AS "last_job: Uuid"
FROM schedule WHERE id IN (SELECT unhex(value) FROM json_each(?1))
