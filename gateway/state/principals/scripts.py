"""What Redis does of marks and of what was asked, in one piece. KEYS[1] is always the clock's."""

from __future__ import annotations

# KEYS: clock, facts, alike, until, queries, asked last, changes, sender. ARGV: time (us), most, sequence, how long it
# is kept (ms), number of marks, and for each mark: principal, facts, alike, until (us); then principals and queries.
ADD = """
if ARGV[3] ~= '' then
  if tonumber(redis.call('GET', KEYS[8]) or '0') >= tonumber(ARGV[3]) then return end
  redis.call('SET', KEYS[8], ARGV[3], 'PX', ARGV[4])
end
local function drop(names, byTime, ...)
  for _, name in ipairs(names) do
    redis.call('ZREM', byTime, name)
    for _, hash in ipairs({...}) do redis.call('HDEL', hash, name) end
  end
end
drop(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', ARGV[1]), KEYS[4], KEYS[2], KEYS[3])
local at = 6
for _ = 1, tonumber(ARGV[5]) do
  local name, ends = ARGV[at], ARGV[at + 3]
  redis.call('HSETNX', KEYS[2], name, ARGV[at + 1])
  redis.call('HINCRBY', KEYS[3], name, ARGV[at + 2])
  local known = redis.call('ZSCORE', KEYS[4], name)
  if not known or tonumber(known) < tonumber(ends) then redis.call('ZADD', KEYS[4], ends, name) end
  at = at + 4
end
for i = at, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[5], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[6], ARGV[1], ARGV[i])
end
local most = tonumber(ARGV[2])
drop(redis.call('ZRANGE', KEYS[4], 0, -most - 1), KEYS[4], KEYS[2], KEYS[3])
drop(redis.call('ZRANGE', KEYS[6], 0, -most - 1), KEYS[6], KEYS[5])
redis.call('SET', KEYS[7], ARGV[1], 'NX')
redis.call('INCR', KEYS[7])
"""

# KEYS: clock, facts, alike, until. ARGV: time (us). Returns principal, facts, alike and until (us) in turn.
MARKS = """
local found = {}
local ends = redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. ARGV[1], '+inf', 'WITHSCORES')
for i = 1, #ends, 2 do
  found[#found + 1] = ends[i]
  found[#found + 1] = redis.call('HGET', KEYS[2], ends[i])
  found[#found + 1] = redis.call('HGET', KEYS[3], ends[i])
  found[#found + 1] = ends[i + 1]
end
return found
"""

# KEYS: clock, facts, alike, until, changes. ARGV: principal.
LIFT = """
for _, hash in ipairs({KEYS[2], KEYS[3]}) do redis.call('HDEL', hash, ARGV[1]) end
local was = redis.call('ZREM', KEYS[4], ARGV[1])
if was == 1 then redis.call('INCR', KEYS[5]) end
return was
"""

# KEYS: clock, stream. ARGV: worker, seconds, most, and endpoints and packed rows in turn.
SHARE = """
local oldest = string.format('%.0f', (tonumber(redis.call('TIME')[1]) - tonumber(ARGV[2])) * 1000)
for i = 4, #ARGV, 2 do
  redis.call('XADD', KEYS[2], '*', 'w', ARGV[1], 'e', ARGV[i], 'a', ARGV[i + 1])
end
redis.call('XTRIM', KEYS[2], 'MINID', oldest)
redis.call('XTRIM', KEYS[2], 'MAXLEN', '~', ARGV[3])
redis.call('EXPIRE', KEYS[2], 86400)
"""

# KEYS: clock, index, and sums and cells of each principal. ARGV: bundle, time (us), how many us make a query count for
# e times less, how long it is kept (ms), most, number of cells, and for each principal: endpoint and principal, rows,
# looked, near, how many cells it fell into, and these.
MEASURE = """
local bundle, now, at = ARGV[1], ARGV[2], 7
for k = 3, #KEYS, 2 do
  local sums, cells = KEYS[k], KEYS[k + 1]
  local found = redis.call('HMGET', sums, 'bundle', 'recent', 'last')
  if found[1] ~= bundle then
    redis.call('DEL', sums, cells)
    found = {false, '0', now}
  end
  local gap = math.max(tonumber(now) - tonumber(found[3]), 0)
  local recent = tonumber(found[2]) * math.exp(-gap / tonumber(ARGV[3])) + tonumber(ARGV[at + 1])
  redis.call('HSET', sums, 'bundle', bundle, 'recent', string.format('%.9g', recent), 'last', now)
  for i, name in ipairs({'rows', 'looked', 'near'}) do redis.call('HINCRBY', sums, name, ARGV[at + i]) end
  local last = tonumber(ARGV[6]) - 1
  redis.call('SETBIT', cells, last, redis.call('GETBIT', cells, last))
  for i = at + 5, at + 4 + tonumber(ARGV[at + 4]) do redis.call('SETBIT', cells, ARGV[i], 1) end
  redis.call('PEXPIRE', sums, ARGV[4])
  redis.call('PEXPIRE', cells, ARGV[4])
  redis.call('ZADD', KEYS[2], now, ARGV[at])
  at = at + 5 + tonumber(ARGV[at + 4])
end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -tonumber(ARGV[5]) - 1)
"""

# KEYS: clock, and sums and cells of each principal. ARGV: fields of sums. Returns these and the cells in turn.
MEASURES = """
local found = {}
for k = 2, #KEYS, 2 do
  for _, value in ipairs(ARGV) do found[#found + 1] = redis.call('HGET', KEYS[k], value) end
  found[#found + 1] = redis.call('GET', KEYS[k + 1])
end
return found
"""

# As scripts, because releases of the client library make different things of these commands' replies.
TOLD = "return redis.call('XRANGE', KEYS[2], ARGV[1], '+', 'COUNT', ARGV[2])"
ASKED = "return redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')"
