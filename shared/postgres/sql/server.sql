-- What decides whether this server is fit to be a ledger.
SELECT current_setting('server_version_num')::integer AS "version!",
    current_setting('server_version') AS "version_text!",
    current_setting('fsync') AS "fsync!", current_setting('full_page_writes') AS "full_page_writes!",
    to_regclass('haul._sqlx_migrations') IS NOT NULL AS "has_migrations!"
