-- What a tenant's accounts hold. ?1: tenant.
SELECT account AS "account!: String", currency AS "currency!: String", sum(amount) AS "amount!: i64"
FROM entry WHERE tenant = ?1 GROUP BY account, currency ORDER BY account, currency
