-- Has the server end this transaction when it idles for longer. $1: milliseconds, as text.
SELECT set_config('idle_in_transaction_session_timeout', $1, true)
