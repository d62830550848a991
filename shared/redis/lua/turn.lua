#!lua flags=allow-oom
-- turn: whether it is the caller's turn to do a chore.
--
-- KEYS   the chore's
-- ARGV   every_ms
-- reply  'yours', or 'done' when somebody had it within that time
return redis.call('SET', KEYS[1], now, 'NX', 'PX', ARGV[1]) and 'yours' or 'done'
