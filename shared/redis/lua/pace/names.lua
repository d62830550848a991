#!lua flags=no-writes
-- names: the destinations that were noted last.
--
-- KEYS   [1] all, as in pace/note.lua
-- ARGV   [1] how many at most
-- reply  names, the latest first
return redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1, 'REV')
