-- Whether a range has stragglers. ?1: from this id on; ?2: before this one.
SELECT EXISTS (SELECT 1 FROM straggler WHERE id >= ?1 AND id < ?2) AS "any!: bool"
