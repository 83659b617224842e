-- The trusted chunk. It takes what it needs of Lua's libraries for itself, cuts the rest off, and gives back `run`,
-- which runs an owner's script in an environment of its own, watched by a hook. The script never sees the real _G.
local chunks, limits, state = ...
local clock, sethook = os.clock, debug.sethook
local error, load, next, pairs, pcall, select, setmetatable, tostring, type =
  error, load, next, pairs, pcall, select, setmetatable, tostring, type
local byte, char, find, format, gsub, sub = string.byte, string.char, string.find, string.format, string.gsub, string.sub
local pack, rep, unpack = string.pack, string.rep, string.unpack

local refusals = setmetatable({}, { __mode = "k" })
local hidden = setmetatable({}, { __mode = "k" }) -- a read-only table and what is behind it
local array_mark = {}
local null = setmetatable({}, {
  __newindex = function() error("json.null is read-only", 2) end,
})

local function refuse(slug, words)
  local refusal = { slug, words }
  refusals[refusal] = true
  error(refusal)
end

local function library(name, ...)
  return load(chunks[name], "=" .. name, "b")(...)
end

local encode, decode = library("json", refuse, array_mark, null, hidden, limits.depth, limits.bytes)
local encodings = library("encodings")

-- A string's methods are reached through the string library itself, even where the environment has none: what a
-- script may not call is taken out of it. One call of the patterns' functions can take for ever, and no hook fires.
local ALLOWED = { byte = true, char = true, format = true, len = true, lower = true, sub = true, upper = true }
for name in pairs(string) do
  if not ALLOWED[name] then
    string[name] = nil
  end
end

local function in_words(value)
  local kind = type(value)
  return (kind == "table" or kind == "function") and kind or tostring(value) -- no addresses
end

function string.format(pattern, ...)
  local values, count = { ... }, select("#", ...)
  if type(pattern) == "string" and find(pattern, "%%[^%a%%]*p") then
    error("string.format: %p is not available", 2)
  end
  for place = 1, count do
    local kind = type(values[place])
    values[place] = (kind == "table" or kind == "function") and kind or values[place]
  end
  local ok, text = pcall(format, pattern, table.unpack(values, 1, count))
  return ok and text or error(text, 2)
end

local function read_only(data)
  for name, value in next, data do
    if type(value) == "table" and value ~= null then
      data[name] = read_only(value)
    end
  end
  local shown = {}
  hidden[shown] = data
  return setmetatable(shown, {
    __index = data,
    __newindex = function() error("this table is read-only", 2) end,
    __len = function() return #data end,
    __pairs = function() return function(_, key) return next(data, key) end, shown, nil end,
  })
end

-- What a script calls: strings in, a string out, none too long; a refusal becomes an error where it was called.
local function helper(name, count, call)
  return function(...)
    for place = 1, count do
      local text = select(place, ...)
      if type(text) ~= "string" then
        error(name .. ": a string is needed", 2)
      elseif #text > limits.text then
        error(name .. ": the string is too long", 2)
      end
    end
    local ok, result = pcall(call, ...)
    if ok then
      return result
    end
    error(refusals[result] and name .. ": " .. result[2] or result, 2)
  end
end

local hashes
local function hashing(name)
  local hmac, hash = sub(name, 1, 5) == "hmac_", gsub(name, "^hmac_", "")
  return helper(name, hmac and 2 or 1, function(first, text)
    hashes = hashes or library("hashes", byte, char, gsub, pack, rep, unpack)
    if hmac then
      return hashes.hmac(hashes[hash], first, text)
    end
    return hashes[hash](first)
  end)
end

local function split(text, separator)
  if separator == "" then
    refuse("runtime", "the separator is empty")
  end
  return encodings.split(text, separator)
end

local function unbase64(text)
  return encodings.unbase64(text) or refuse("runtime", "this is not base64")
end

local function array(list)
  if type(list or {}) ~= "table" or hidden[list or {}] or list == null then
    error("json.array: a table of your own is needed", 2)
  end
  return setmetatable(list or {}, array_mark)
end

local function environment()
  return {
    error = error,
    ipairs = ipairs,
    next = function(of, key) return next(hidden[of] or of, key) end,
    pairs = pairs,
    pcall = pcall,
    select = select,
    tonumber = tonumber,
    tostring = in_words,
    type = type,
    math = {
      abs = math.abs, ceil = math.ceil, floor = math.floor, fmod = math.fmod, huge = math.huge, max = math.max,
      min = math.min, modf = math.modf, pi = math.pi, sqrt = math.sqrt, tointeger = math.tointeger, type = math.type,
      maxinteger = math.maxinteger, mininteger = math.mininteger, random = math.random,
    },
    string = {
      byte = string.byte, char = string.char, format = string.format, len = string.len, lower = string.lower,
      sub = string.sub, upper = string.upper,
    },
    table = { concat = table.concat, insert = table.insert, sort = table.sort },
    json = {
      array = array,
      decode = helper("json.decode", 1, decode),
      encode = helper("json.encode", 0, encode),
      null = null,
    },
    base64 = helper("base64", 1, encodings.base64),
    unbase64 = helper("unbase64", 1, unbase64),
    hex = helper("hex", 1, encodings.hex),
    split = helper("split", 2, split),
    urlencode = helper("urlencode", 1, encodings.urlencode),
    md5 = hashing("md5"),
    sha256 = hashing("sha256"),
    hmac_md5 = hashing("hmac_md5"),
    hmac_sha256 = hashing("hmac_sha256"),
  }
end

local function perform(source, name, parameters)
  local scope = environment()
  local chunk, problem = load(source, "=script", "t", scope)
  if not chunk then
    refuse("syntax", problem)
  end
  chunk()
  if type(scope[name]) ~= "function" then
    refuse("missing-function", name)
  elseif scope.read ~= nil and type(scope.read) ~= "function" then
    refuse("missing-function", "read")
  end
  if not parameters then
    return scope.read and '["build","read"]' or '["build"]'
  end
  local given = decode(parameters)
  for place = 1, #given do
    given[place] = type(given[place]) == "table" and read_only(given[place]) or given[place]
  end
  local result = scope[name](table.unpack(given))
  local kind = type(result)
  if kind == "nil" and name == "read" then
    return "null"
  elseif kind ~= "string" and kind ~= "table" then
    refuse("bad-result", "it gave a " .. kind .. ", and a string or a table is needed")
  end
  if result == null then
    refuse("bad-result", "it gave a nil, and a string or a table is needed")
  end
  return encode(result)
end

local budget, deadline

-- After a trip every further instruction raises, so that no pcall of the script gets anywhere.
local function trip(reason)
  state.tripped = reason
  sethook(function() error(reason, 0) end, "", 1)
  error(reason, 0)
end

local function watch()
  budget = budget - limits.interval
  if budget < 0 or clock() > deadline then
    trip("over-budget")
  end
end

return function(source, name, parameters)
  budget, deadline = limits.instructions, clock() + limits.seconds
  sethook(watch, "", limits.interval)
  local ok, result = pcall(perform, source, name, parameters)
  sethook() -- raises instead, if the hook has tripped
  if ok then
    return "value", result
  elseif refusals[result] then
    return "failed", result[1], result[2]
  elseif type(result) ~= "string" then
    return "failed", "runtime", ""
  elseif find(result, "not enough memory$") then
    return "failed", "over-memory", ""
  end
  return "failed", "runtime", sub(result, 1, 500)
end
