-- All or none: each key takes one more if every key has room for it. Answers the seconds to wait, "0" when it was taken.
-- KEYS: one a speed. ARGV: the time in seconds, then count and seconds of each speed. See shared/domain/speed.py.
local at = tonumber(ARGV[1])
local longest, counted = 0, {}
for i, key in ipairs(KEYS) do
  local count, seconds = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local window = math.floor(at / seconds)
  local kept = redis.call('HMGET', key, 'window', 'now', 'before')
  local known = tonumber(kept[1])
  local now, before = tonumber(kept[2]) or 0, tonumber(kept[3]) or 0
  if not known then
    now, before = 0, 0
  elseif known >= window then
    window = known
  elseif known == window - 1 then
    now, before = 0, now
  else
    now, before = 0, 0
  end
  local passed = math.min(1, math.max(0, at / seconds - window))
  if before * (1 - passed) + now + 1 > count then
    local wait
    if now + 1 <= count then
      wait = (1 - (count - 1 - now) / before - passed) * seconds
    else
      wait = (1 - passed + math.max(0, 1 - (count - 1) / now)) * seconds
    end
    longest = math.max(longest, wait)
  end
  counted[i] = { window, now, before, seconds }
end
if longest > 0 then
  return string.format('%.3f', longest)
end
for i, key in ipairs(KEYS) do
  local one = counted[i]
  redis.call('HSET', key, 'window', one[1], 'now', one[2] + 1, 'before', one[3])
  redis.call('PEXPIRE', key, 2000 * one[4])
end
return '0'
