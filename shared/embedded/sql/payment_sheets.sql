-- Payments beside their postings, the newest first: a row for each posting, and one without for a payment that has none.
-- ?1: those before this id, or null; ?2: how many payments.
SELECT seen.id AS "id!: Uuid", seen.tenant AS "tenant!: String", seen.version AS "version!: i64",
    seen.amount AS "amount!: i64", seen.currency AS "currency!: String", seen.body AS "body!: String",
    seen.created_at AS "created_at!: i64", seen.updated_at AS "updated_at!: i64",
    posting.step AS "step?: String", posting.tenant AS "posted_for?: String", posting.debit AS "debit?: String",
    posting.credit AS "credit?: String", posting.currency AS "posted_in?: String", posting.amount AS "posted?: i64",
    posting.at AS "at?: i64"
FROM (
    SELECT id, tenant, version, amount, currency, body, created_at, updated_at
    FROM payment WHERE id < coalesce(?1, x'ffffffffffffffffffffffffffffffff') ORDER BY id DESC LIMIT ?2
) AS seen
LEFT JOIN posting ON posting.payment = seen.id
ORDER BY seen.id DESC, posting.step
