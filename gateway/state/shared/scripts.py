"""What Redis does in one piece. KEYS[1] is always the clock's.

Lua's numbers are doubles, exact up to 2^53 only: sums stay text on their way to `BITFIELD`, which adds 64-bit integers.
"""

from __future__ import annotations

from gateway.state.redislink import CLOCK

NOW = f"{CLOCK} return string.format('%.6f', clock())"

# KEYS: clock, replica, and for each place: key's facts, sums, their index, late sums, their index.
# ARGV: sequence, how long a replica, sums and keys are kept (ms), most buckets, and for each place: bucket, rows,
# length, and the values that are not 0 as "#index value ...". Returns the sums that are over the bound.
ADD = """
local last = redis.call('GET', KEYS[2])
if last and tonumber(ARGV[1]) <= tonumber(last) then return {} end
local places = (#KEYS - 2) / 5
for p = 0, places - 1 do
  local known, length = redis.call('HGET', KEYS[3 + 5 * p], 'length'), ARGV[8 + 4 * p]
  if known and known ~= length then
    return redis.error_reply('REFUSED ' .. KEYS[3 + 5 * p] .. ': expected ' .. known .. ' numbers, found ' .. length)
  end
end
local over = {}
for p = 0, places - 1 do
  local facts, bucket, rows = KEYS[3 + 5 * p], ARGV[6 + 4 * p], ARGV[7 + 4 * p]
  local found = redis.call('HMGET', facts, 'sealed', 'forgotten')
  local sealed, forgotten = tonumber(found[1] or '-inf'), tonumber(found[2] or '-inf')
  local gone = tonumber(bucket) < forgotten
  local late = gone or tonumber(bucket) <= sealed
  redis.call('HSET', facts, 'length', ARGV[8 + 4 * p])
  if late then redis.call('HINCRBY', facts, 'late_rows', rows) end
  redis.call('PEXPIRE', facts, ARGV[4])
  if not gone then
    local sums, index = KEYS[4 + 5 * p], KEYS[5 + 5 * p]
    if late then sums, index = KEYS[6 + 5 * p], KEYS[7 + 5 * p] end
    local args = {}
    for at, value in string.gmatch(ARGV[9 + 4 * p], '(%S+) (%S+)') do
      local n = #args
      args[n + 1], args[n + 2], args[n + 3], args[n + 4] = 'INCRBY', 'i64', at, value
      if n > 4000 then redis.call('BITFIELD', sums, unpack(args)) args = {} end
    end
    if #args > 0 then redis.call('BITFIELD', sums, unpack(args)) end
    redis.call('PEXPIRE', sums, ARGV[3])
    redis.call('ZADD', index, bucket, bucket)
    redis.call('PEXPIRE', index, ARGV[4])
    local most = tonumber(ARGV[5])
    if redis.call('ZCARD', index) > most then
      local first = redis.call('ZPOPMIN', index)[1]
      over[#over + 1] = string.sub(sums, 1, #sums - #bucket) .. first
    end
  end
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return over
"""

# KEYS: clock, key's facts. ARGV: `sealed` or `forgotten`, bucket, how long keys are kept (ms).
ADVANCE = """
local known = redis.call('HGET', KEYS[2], ARGV[1])
if not known or tonumber(known) < tonumber(ARGV[2]) then
  known = ARGV[2]
  redis.call('HSET', KEYS[2], ARGV[1], known)
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return known
"""

# KEYS: clock, value. ARGV: token, new value, how long it is kept (ms).
SWAP = """
local token = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
if token ~= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[2], 'token', token + 1, 'value', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
"""

# KEYS: clock, values, until, names. ARGV: name, value, seconds, most.
PUT_ONCE = f"""{CLOCK}
local now = clock()
local function drop(names)
  for _, name in ipairs(names) do
    redis.call('HDEL', KEYS[2], name)
    redis.call('ZREM', KEYS[3], name)
    redis.call('ZREM', KEYS[4], name)
  end
end
drop(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.6f', now), 'LIMIT', 0, 1000))
local until_ = tonumber(redis.call('ZSCORE', KEYS[3], ARGV[1]) or '-inf')
if until_ > now then return 0 end
drop({{ARGV[1]}})
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], string.format('%.6f', now + tonumber(ARGV[3])), ARGV[1])
redis.call('ZADD', KEYS[4], 0, ARGV[1])
local over = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[4])
if over > 0 then drop(redis.call('ZRANGE', KEYS[3], 0, over - 1)) end
return 1
"""

# KEYS: clock, values, until, names. ARGV: first, end, limit. Returns names and values in turn.
VALUES = f"""{CLOCK}
local now = clock()
local found = {{}}
for _, name in ipairs(redis.call('ZRANGEBYLEX', KEYS[4], '[' .. ARGV[1], '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])) do
  if tonumber(redis.call('ZSCORE', KEYS[3], name)) > now then
    found[#found + 1] = name
    found[#found + 1] = redis.call('HGET', KEYS[2], name)
  end
end
return found
"""

# KEYS: clock, lease. ARGV: holder, seconds, how long it is remembered (ms).
LEASE = f"""{CLOCK}
local now = clock()
local found = redis.call('HMGET', KEYS[2], 'holder', 'until')
if found[1] and found[1] ~= ARGV[1] and tonumber(found[2]) > now then return 0 end
redis.call('HSET', KEYS[2], 'holder', ARGV[1], 'until', string.format('%.6f', now + tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
"""

# A ring of hashes: the oldest one is dropped as a whole. KEYS: clock, ring's facts, the hashes.
# ARGV: seconds, entries a hash, and ids and values in turn.
LOG = f"""{CLOCK}
local now, ring = clock(), #KEYS - 2
local found = redis.call('HMGET', KEYS[2], 'hash', 'entries', 'began')
local hash, entries, began = tonumber(found[1] or '0'), tonumber(found[2] or '0'), tonumber(found[3] or '0')
local keep_ms = math.ceil(tonumber(ARGV[1]) * 1000)
for i = 3, #ARGV, 2 do
  if entries >= tonumber(ARGV[2]) or now - began > tonumber(ARGV[1]) / (ring - 1) then
    hash, entries, began = (hash + 1) % ring, 0, now
    redis.call('DEL', KEYS[3 + hash])
  end
  redis.call('HSET', KEYS[3 + hash], ARGV[i], ARGV[i + 1])
  if entries == 0 then redis.call('PEXPIRE', KEYS[3 + hash], keep_ms) end
  entries = entries + 1
end
redis.call('HSET', KEYS[2], 'hash', hash, 'entries', entries, 'began', string.format('%.6f', began))
redis.call('PEXPIRE', KEYS[2], keep_ms + 1000)
"""

# KEYS: clock, ring's facts, the hashes. ARGV: ids. Returns ids and values in turn.
LOGGED = """
local found, ring = {}, #KEYS - 2
local last = tonumber(redis.call('HGET', KEYS[2], 'hash') or '0')
for back = ring - 1, 0, -1 do
  local values = redis.call('HMGET', KEYS[3 + (last - back) % ring], unpack(ARGV))
  for i, value in ipairs(values) do
    if value then
      found[#found + 1] = ARGV[i]
      found[#found + 1] = value
    end
  end
end
return found
"""
