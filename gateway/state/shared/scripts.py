"""What Redis does in one piece. KEYS[1] is always the clock's.

Lua's numbers are doubles, exact up to 2^53 only: 64-bit sums are added as halves of 32 bits, which stay below 2^33.
"""

from __future__ import annotations

from gateway.state.redislink import CLOCK

NOW = f"{CLOCK} return string.format('%.6f', clock())"

# Two packed vectors of little-endian 64-bit integers, 32 numbers at a time.
PLUS = """
local whole = '<' .. string.rep('I4', 64)
local function plus(one, other)
  local parts = {}
  for at = 1, #one, 256 do
    local size = math.min(64, (#one - at + 1) / 4)
    local format = size == 64 and whole or '<' .. string.rep('I4', size)
    local a, b = {struct.unpack(format, one, at)}, {struct.unpack(format, other, at)}
    for i = 1, size, 2 do
      local low, high = a[i] + b[i], a[i + 1] + b[i + 1]
      if low >= 4294967296 then low, high = low - 4294967296, high + 1 end
      a[i], a[i + 1] = low, high % 4294967296
    end
    parts[#parts + 1] = struct.pack(format, unpack(a, 1, size))
  end
  return table.concat(parts)
end
"""

# KEYS: clock, replica, and for each place: key's facts, sums, their index, late sums, their index.
# ARGV: sequence, how long a replica, sums and keys are kept (ms), most buckets, and for each place: bucket, rows and
# packed sums. Returns the names of sums that are over the bound.
ADD = f"""{PLUS}
local last = redis.call('GET', KEYS[2])
if last and tonumber(ARGV[1]) <= tonumber(last) then return {{}} end
local places = {{}}
for p = 0, (#KEYS - 2) / 5 - 1 do
  local k, a = 3 + 5 * p, 6 + 3 * p
  local place = {{facts = KEYS[k], bucket = ARGV[a], rows = ARGV[a + 1], sums = ARGV[a + 2], length = #ARGV[a + 2] / 8}}
  local found = redis.call('HMGET', KEYS[k], 'length', 'sealed', 'forgotten')
  if found[1] and tonumber(found[1]) ~= place.length then
    local expected = ': expected ' .. found[1] .. ' numbers, found ' .. place.length
    return redis.error_reply('REFUSED ' .. KEYS[k] .. expected)
  end
  place.gone = tonumber(place.bucket) < tonumber(found[3] or '-inf')
  place.late = place.gone or tonumber(place.bucket) <= tonumber(found[2] or '-inf')
  place.name, place.index = KEYS[k + 1], KEYS[k + 2]
  if place.late then place.name, place.index = KEYS[k + 3], KEYS[k + 4] end
  places[#places + 1] = place
end
local over = {{}}
for _, place in ipairs(places) do
  redis.call('HSET', place.facts, 'length', place.length)
  if place.late then redis.call('HINCRBY', place.facts, 'late_rows', place.rows) end
  redis.call('PEXPIRE', place.facts, ARGV[4])
  if not place.gone then
    local known = redis.call('GET', place.name)
    redis.call('SET', place.name, known and plus(known, place.sums) or place.sums, 'PX', ARGV[3])
    redis.call('ZADD', place.index, place.bucket, place.bucket)
    redis.call('PEXPIRE', place.index, ARGV[4])
    if redis.call('ZCARD', place.index) > tonumber(ARGV[5]) then
      local first = redis.call('ZPOPMIN', place.index)[1]
      over[#over + 1] = string.sub(place.name, 1, #place.name - #place.bucket) .. first
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

# KEYS: clock, values, until, names. ARGV: first, end, limit. Returns the last names and their values in turn.
VALUES = f"""{CLOCK}
local now = clock()
local found = {{}}
for _, name in ipairs(redis.call('ZREVRANGEBYLEX', KEYS[4], '(' .. ARGV[2], '[' .. ARGV[1], 'LIMIT', 0, ARGV[3])) do
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

# KEYS: clock, ring's facts, the hashes. ARGV: ids and rows in turn. A claim lies in its id's hash, and goes with it.
CLAIM = """
local found = {}
for i = 1, #ARGV, 2 do
  local claimed = 0
  for k = 3, #KEYS do
    if redis.call('HEXISTS', KEYS[k], ARGV[i]) == 1 then
      claimed = redis.call('HSETNX', KEYS[k], ARGV[i] .. '#' .. ARGV[i + 1], '')
    end
  end
  found[#found + 1] = claimed
end
return found
"""
