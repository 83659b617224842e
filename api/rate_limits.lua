-- One bucket. KEYS[1]: its name. ARGV: how much it holds, in how many seconds it fills, how much is wanted.
-- Returns what was granted, what is left, and in how many milliseconds there is one again.
local limit, window, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000, tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local bucket = redis.call('HMGET', KEYS[1], 'left', 'at')
local left, at = tonumber(bucket[1]), tonumber(bucket[2])
if not left or not at then
  left, at = limit, now
end
-- A clock that went back gives nothing and takes nothing.
left = math.min(limit, left + math.max(0, now - at) * limit / window)
local granted = math.min(wanted, math.floor(left))
left = left - granted
local wait = 0
if granted == 0 then
  wait = math.ceil((1 - left) * window / limit)
end
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%d', math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], window + 1000)
return {granted, math.floor(left), wait}
