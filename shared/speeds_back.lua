-- One less under each key that still holds it, in this window or in the one before: what it was for came to nothing.
-- KEYS: one a speed. ARGV: the time it was counted at in seconds, then the seconds of each speed. See shared/domain/speed.py.
local at = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local window = math.floor(at / tonumber(ARGV[1 + i]))
  local kept = redis.call('HMGET', key, 'window', 'now', 'before')
  local known = tonumber(kept[1])
  if known and known == window and tonumber(kept[2]) > 0 then
    redis.call('HINCRBY', key, 'now', -1)
  elseif known and known == window + 1 and tonumber(kept[3]) > 0 then
    redis.call('HINCRBY', key, 'before', -1)
  end
end
return 0
