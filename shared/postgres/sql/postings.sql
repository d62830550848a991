-- A payment's postings, in order of their steps. $1: the payment.
SELECT payment, step, tenant, debit, credit, currency, amount, at FROM haul.posting WHERE payment = $1 ORDER BY step
