#!lua flags=no-writes
-- running: leased jobs of the kinds.
--
-- KEYS   prelude.lua
-- ARGV   limit
-- reply  ids
local ids, limit = {}, tonumber(ARGV[1])
for kind = 1, kinds do
  if #ids < limit then
    local found = redis.call('ZRANGE', key(kind, EXPIRY), '(' .. now, '(+inf', 'BYSCORE', 'LIMIT', 0, limit - #ids)
    for _, id in ipairs(found) do
      ids[#ids + 1] = id
    end
  end
end
return ids
