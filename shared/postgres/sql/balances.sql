-- What a tenant's accounts hold. $1: tenant.
SELECT account AS "account!", currency AS "currency!", sum(amount)::bigint AS "amount!"
FROM haul.entry WHERE tenant = $1 GROUP BY account, currency ORDER BY account, currency
