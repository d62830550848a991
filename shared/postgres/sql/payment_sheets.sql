-- Payments beside their postings, the newest first: a row for each posting, and one without for a payment that has none.
-- $1: those before this id, or null; $2: how many payments.
SELECT seen.id AS "id!", seen.tenant AS "tenant!", seen.version AS "version!", seen.amount AS "amount!",
    seen.currency AS "currency!", seen.body AS "body!", seen.created_at AS "created_at!", seen.updated_at AS "updated_at!",
    posting.step AS "step?", posting.tenant AS "posted_for?", posting.debit AS "debit?", posting.credit AS "credit?",
    posting.currency AS "posted_in?", posting.amount AS "posted?", posting.at AS "at?"
FROM (
    SELECT id, tenant, version, amount, currency, body, created_at, updated_at
    FROM haul.payment WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY id DESC LIMIT $2
) AS seen
LEFT JOIN haul.posting ON posting.payment = seen.id
ORDER BY seen.id DESC, posting.step
