-- Payments that are unknown are counted every few seconds, beside however many others. See docs/decisions/0188.
CREATE INDEX payment_unknown ON payment (id) WHERE state = 'unknown';
