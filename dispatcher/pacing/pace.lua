-- One gateway's pace, for all dispatchers at once: grants segments at its rate, and shares out its requests in flight.
-- The law is `Bucket` in shared/domain/pace.py. Times are microseconds of Redis' clock.
-- KEYS: due, alive, held, hungry, asked, since
-- ARGV: dispatcher; rate (0: no limit), segments wanted, how far ahead of their time;
--       requests in flight in all (0: no limit), wanted, and what it may use until it hears the answer; burst, life,
--       turn; for how many requests it may not ask, for it has no urgent messages; and for proofs the time
local clock = redis.call('TIME')
local now = tonumber(ARGV[12]) or (clock[1] * 1000000 + clock[2])
local name = ARGV[1]
local rate, segments, ahead = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local limit, requests, kept = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local burst, life, turn = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local urgent = tonumber(ARGV[11])
local keep = math.ceil(life / 1000) * 4

-- Whoever has not asked for so long is gone, and what it held is free.
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('HDEL', KEYS[3], gone)
  redis.call('ZREM', KEYS[2], gone)
  redis.call('ZREM', KEYS[4], gone)
  redis.call('HDEL', KEYS[5], gone)
  redis.call('HDEL', KEYS[6], gone)
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], string.format('(%.0f', now + life), '+inf')) do
  redis.call('ZADD', KEYS[2], now + life, other) -- the clock was set back since it asked
end
redis.call('ZADD', KEYS[2], now + life, name)
redis.call('PEXPIRE', KEYS[2], keep)
local live = redis.call('ZCARD', KEYS[2])

local granted, wait = 0, 0
if rate > 0 then
  -- Further ahead than any grant leaves it, it is of a slower pace, or of before the clock was set back.
  local furthest = now + burst + 1000000 / rate
  local due = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - burst), furthest)
  if segments > 0 and due <= now + ahead then
    granted = math.min(segments, math.floor((now + ahead - due) * rate / 1000000) + 1)
    due = due + granted * 1000000 / rate
  end
  wait = math.max(0, due - now)
  redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', keep + math.ceil(wait / 1000))
end

local held, hungry = 0, 0
if limit > 0 then
  -- Those without urgent messages have `urgent` requests less among them; their wishes end with a "b".
  redis.call('HSET', KEYS[5], name, requests .. (urgent > 0 and 'b' or ''))
  redis.call('PEXPIRE', KEYS[5], keep)
  local wish, held_by = redis.call('HGETALL', KEYS[5]), redis.call('HGETALL', KEYS[3])
  local asked, bulk = {}, {}
  for at = 1, #wish, 2 do
    asked[wish[at]] = tonumber(string.match(wish[at + 1], '%d+'))
    bulk[wish[at]] = string.sub(wish[at + 1], -1) == 'b'
  end

  -- My share of so many, and what is left of them by the others: of all of them, or of those without urgent messages.
  -- Whoever asks for less than an equal share gets that, and the others share what it leaves. What does not go evenly
  -- into shares is for those whose names come first.
  local function share_of(total, only_bulk)
    local free, wants = total, {}
    for at = 1, #held_by, 2 do
      local other = held_by[at]
      if other ~= name and (bulk[other] or not only_bulk) then free = free - tonumber(held_by[at + 1]) end
    end
    for other, want in pairs(asked) do
      if bulk[other] or not only_bulk then table.insert(wants, want) end
    end
    table.sort(wants)
    local left, level, over = total, total, 0
    for at, want in ipairs(wants) do
      local share = math.floor(left / (#wants - at + 1))
      if want > share then
        level, over = share, left - share * (#wants - at + 1)
        break
      end
      left = left - want
    end
    if level > 0 and requests > level then
      local before = 0
      for other, want in pairs(asked) do
        if want > level and other < name and (bulk[other] or not only_bulk) then before = before + 1 end
      end
      if before < over then return level + 1, free, level end
    end
    return math.min(requests, level), free, level
  end

  local share, free, level = share_of(limit, false)
  if urgent > 0 then
    local its_share, its_free, its_level = share_of(limit - urgent, true)
    share, free, level = math.min(share, its_share), math.min(free, its_free), math.min(level, its_level)
  end
  if level == 0 and requests > 0 then
    -- Fewer requests than dispatchers go round: one each, for a turn, and then to whoever has waited longest.
    share = 1
    if tonumber(redis.call('HGET', KEYS[3], name) or '0') > 0 then
      -- Score 1 is one for whom somebody ends its turn, whose own request may be under way yet.
      local first = redis.call('ZRANGEBYSCORE', KEYS[4], '(1', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      local since = math.min(tonumber(redis.call('HGET', KEYS[6], name) or now), tonumber(first[2] or now))
      if redis.call('ZSCORE', KEYS[4], name) then
        if redis.call('ZCOUNT', KEYS[4], 1, 1) > 0 then free = 0 end
      elseif first[1] and since <= now - turn then
        redis.call('ZADD', KEYS[4], 1, first[1])
        free = 0
      end
    elseif (redis.call('ZRANK', KEYS[4], name) or redis.call('ZCARD', KEYS[4])) >= free then
      free = 0
    end
  end
  held = math.max(0, math.min(share, free))
  if level == 0 and held > 0 then
    redis.call('HSETNX', KEYS[6], name, string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[6], keep)
  else
    redis.call('HDEL', KEYS[6], name)
  end

  -- Who has less than its share says so, since when; whoever is urgent comes as if it had waited for a turn.
  if held >= share then
    redis.call('ZREM', KEYS[4], name)
  elseif ahead > 0 then
    redis.call('ZADD', KEYS[4], 'LT', string.format('%.0f', now - turn), name)
  else
    redis.call('ZADD', KEYS[4], 'NX', string.format('%.0f', now), name)
  end
  redis.call('PEXPIRE', KEYS[4], keep)
  hungry = redis.call('ZCARD', KEYS[4]) - (held < share and 1 or 0)

  -- It may have begun some more before it hears of this: they count until it has said that it has not.
  redis.call('HSET', KEYS[3], name, math.max(held, kept))
  redis.call('PEXPIRE', KEYS[3], keep)
end
return {granted, held, live, math.ceil(wait), hungry}
