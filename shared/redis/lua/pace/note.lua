#!lua
-- note: keeps a destination's name in the list of those that are paced, while there is room.
--
-- KEYS   [1] all  sorted set: names of destinations by when they are forgotten, in milliseconds
-- ARGV   [1] now_ms: '' for the server's clock, [2] ttl_ms, [3] the name, [4] how many at most
-- reply  'known', or 'full'
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) and not redis.call('ZSCORE', KEYS[1], ARGV[3]) then
  return 'full'
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'known'
