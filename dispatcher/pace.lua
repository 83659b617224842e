-- One gateway's pace, for all dispatchers at once: grants segments at its rate, and shares out its requests in flight.
-- The law is `Bucket` in shared/domain/pace.py. Times are microseconds of Redis' clock.
-- KEYS: due, alive, held, hungry
-- ARGV: dispatcher; rate (0: no limit), segments wanted, how far ahead of their time;
--       requests in flight in all (0: no limit), wanted, used; burst, life; and for proofs the time
local clock = redis.call('TIME')
local now = tonumber(ARGV[10]) or (clock[1] * 1000000 + clock[2])
local name = ARGV[1]
local rate, segments, ahead = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local limit, requests, used = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local burst, life = tonumber(ARGV[8]), tonumber(ARGV[9])
local keep = math.ceil(life / 1000) * 4

-- Whoever has not asked for so long is gone, and what it held is free.
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('HDEL', KEYS[3], gone)
  redis.call('ZREM', KEYS[2], gone)
  redis.call('ZREM', KEYS[4], gone)
end
redis.call('ZADD', KEYS[2], now + life, name)
redis.call('PEXPIRE', KEYS[2], keep)
local live = redis.call('ZCARD', KEYS[2])

local granted, wait = 0, 0
if rate > 0 then
  local due = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - burst)
  if segments > 0 and due <= now + ahead then
    granted = math.min(segments, math.floor((now + ahead - due) * rate / 1000000) + 1)
    due = due + granted * 1000000 / rate
  end
  wait = math.max(0, due - now)
  redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', keep + math.ceil(wait / 1000))
end

local held = 0
if limit > 0 then
  local others, all = 0, redis.call('HGETALL', KEYS[3])
  for at = 1, #all, 2 do
    if all[at] ~= name then others = others + tonumber(all[at + 1]) end
  end
  held = math.max(0, math.min(requests, limit - others))
  -- While others are hungry each keeps to its share; where that is less than one, who has waited longest has one.
  local longest = redis.call('ZRANGE', KEYS[4], 0, 0)[1]
  if redis.call('ZCARD', KEYS[4]) > (redis.call('ZSCORE', KEYS[4], name) and 1 or 0) then
    local share = math.floor(limit / live)
    if share < 1 and longest == name then share = 1 end
    held = math.min(held, share)
  end
  held = math.max(held, used)
  -- Who gets less than it wants says so, since when.
  if held < requests then
    redis.call('ZADD', KEYS[4], 'NX', now, name)
    redis.call('PEXPIRE', KEYS[4], keep)
  else
    redis.call('ZREM', KEYS[4], name)
  end
  redis.call('HSET', KEYS[3], name, held)
  redis.call('PEXPIRE', KEYS[3], keep)
end
return {granted, held, live, math.ceil(wait)}
