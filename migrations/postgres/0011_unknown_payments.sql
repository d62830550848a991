-- Payments that are unknown are counted every few seconds, beside however many others. See docs/decisions/0188.

CALL haul.lock_for_change('haul.payment');
CREATE INDEX payment_unknown ON haul.payment (id) WHERE state = 'unknown';
