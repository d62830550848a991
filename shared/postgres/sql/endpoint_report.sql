-- Notes what became of a delivery. $1: tenant; $2: id; $3: the version that it was delivered to; $4: taken, failed or gone;
-- $5: after how many milliseconds of failing it is disabled.
-- No row: nothing changes, or it is at another version, or disabled, or gone.
UPDATE haul.endpoint
SET failing_since = CASE WHEN $4 = 'taken' THEN NULL
        ELSE coalesce(failing_since, date_trunc('milliseconds', clock_timestamp())) END,
    disabled = next.disabled,
    version = version + (next.disabled IS NOT NULL)::int,
    updated_at = CASE WHEN next.disabled IS NULL THEN updated_at ELSE date_trunc('milliseconds', clock_timestamp()) END
FROM (
    SELECT tenant, id, CASE
        WHEN $4 = 'gone' THEN 'gone'
        WHEN $4 = 'failed' AND failing_since + make_interval(secs => $5::bigint / 1000.0) <= clock_timestamp()
        THEN 'failing'
    END AS disabled
    FROM haul.endpoint WHERE tenant = $1 AND id = $2
) AS next
WHERE endpoint.tenant = next.tenant AND endpoint.id = next.id AND version = $3 AND endpoint.disabled IS NULL
    AND (next.disabled IS NOT NULL OR (failing_since IS NULL) = ($4 = 'failed'))
RETURNING endpoint.disabled
