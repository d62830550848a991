-- Makes stragglers of the jobs of a range that have no outcome. ?1: from this id on; ?2: before this one.
INSERT INTO straggler (id)
SELECT id FROM job
WHERE id >= ?1 AND id < ?2 AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = job.id)
ORDER BY id
ON CONFLICT (id) DO NOTHING
