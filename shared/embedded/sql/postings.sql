-- A payment's postings, in order of their steps. ?1: the payment.
SELECT payment AS "payment: Uuid", step, tenant, debit, credit, currency, amount, at
FROM posting WHERE payment = ?1 ORDER BY step
