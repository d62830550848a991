-- How far days are closed, and where deleting and erasing go on.
SELECT closed_before AS "closed_before: Uuid", deleted_before AS "deleted_before: Uuid",
    erased_before AS "erased_before: Uuid"
FROM retention
