-- JSON for scripts, in Lua: nothing but strings ever crosses to Python, so nothing of Python can leak.
-- Refusals are raised as values of `refuse(slug, words)`; the boot chunk knows them from a script's own errors.
local refuse, array_mark, null, hidden, most_depth, most_bytes = ...
local byte, char, find, format, gsub, sub = string.byte, string.char, string.find, string.format, string.gsub, string.sub
local concat, sort = table.concat, table.sort
local next, setmetatable, getmetatable, tonumber, type = next, setmetatable, getmetatable, tonumber, type
local utf8_char, utf8_len, math_type, huge = utf8.char, utf8.len, math.type, math.huge

local NAMED = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escaped(control)
  return NAMED[control] or format("\\u%04x", byte(control))
end

local function write_string(text, out)
  if not utf8_len(text) then
    refuse("bad-result", "a string is not UTF-8")
  end
  out.bytes = out.bytes + #text
  if out.bytes > most_bytes then
    refuse("too-large", "more than " .. most_bytes .. " bytes of JSON")
  end
  out[#out + 1] = '"' .. gsub(text, '[%c"\\]', escaped) .. '"'
end

local function write_number(number, out)
  if math_type(number) == "integer" then
    out[#out + 1] = format("%d", number)
    return
  end
  if number ~= number or number == huge or number == -huge then
    refuse("bad-result", "a number is not finite")
  end
  local short = format("%.15g", number)
  out[#out + 1] = tonumber(short) == number and short or format("%.17g", number)
end

local write

local function write_list(list, length, out, depth)
  out[#out + 1] = "["
  for place = 1, length do
    if place > 1 then
      out[#out + 1] = ","
    end
    write(list[place], out, depth)
  end
  out[#out + 1] = "]"
end

-- In the order of their names: the same table is the same text, which matters to whoever signs it.
local function write_object(object, names, out, depth)
  sort(names)
  out[#out + 1] = "{"
  for place = 1, #names do
    if place > 1 then
      out[#out + 1] = ","
    end
    write_string(names[place], out)
    out[#out + 1] = ":"
    write(object[names[place]], out, depth)
  end
  out[#out + 1] = "}"
end

local function write_table(value, out, depth)
  if depth > most_depth then
    refuse("too-deep", "tables are nested more than " .. most_depth .. " deep, or hold themselves")
  end
  local names, count = {}, 0
  for key in next, value do
    count = count + 1
    if type(key) == "string" then
      names[#names + 1] = key
    elseif math_type(key) ~= "integer" then
      refuse("bad-result", "a table has a key that is neither a string nor a place in a list")
    end
  end
  if #names == count and (count > 0 or getmetatable(value) ~= array_mark) then
    return write_object(value, names, out, depth)
  end
  if #names > 0 then
    refuse("bad-result", "a table is both a list and an object")
  end
  for place = 1, count do
    if value[place] == nil then
      refuse("bad-result", "a list has gaps")
    end
  end
  write_list(value, count, out, depth)
end

function write(value, out, depth)
  local kind = type(value)
  out.bytes = out.bytes + 4
  if out.bytes > most_bytes then
    refuse("too-large", "more than " .. most_bytes .. " bytes of JSON")
  end
  if kind == "string" then
    write_string(value, out)
  elseif kind == "number" then
    write_number(value, out)
  elseif kind == "boolean" then
    out[#out + 1] = value and "true" or "false"
  elseif kind == "nil" or value == null then
    out[#out + 1] = "null"
  elseif kind == "table" then
    write_table(hidden[value] or value, out, depth + 1)
  else
    refuse("bad-result", "a " .. kind .. " is no plain value")
  end
end

local function encode(value)
  local out = { bytes = 0 }
  write(value, out, 0)
  local text = concat(out)
  if #text > most_bytes then
    refuse("too-large", "more than " .. most_bytes .. " bytes of JSON")
  end
  return text
end

local MEANT = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local WORDS = { t = { "true", true }, f = { "false", false }, n = { "null", null } }

local function unreadable()
  refuse("runtime", "this is not JSON")
end

local function code_at(text, at)
  local hex = find(text, "^%x%x%x%x", at) and sub(text, at, at + 3) or unreadable()
  return tonumber(hex, 16)
end

-- A character by its \u escape, which stands at `at`; and where to go on.
local function read_unicode(text, at)
  local code, after = code_at(text, at + 2), at + 6
  if code >= 0xD800 and code < 0xDC00 and sub(text, after, after + 1) == "\\u" then
    local low = code_at(text, after + 2)
    if low >= 0xDC00 and low < 0xE000 then
      return utf8_char(0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00), after + 6
    end
  end
  return utf8_char(code >= 0xD800 and code < 0xE000 and 0xFFFD or code), after
end

local function read_string(text, at)
  local _, last = find(text, '^[^"\\%c]*', at + 1)
  if byte(text, last + 1) == 34 then
    return sub(text, at + 1, last), last + 2
  end
  local parts, from = {}, at + 1
  while true do
    _, last = find(text, '^[^"\\%c\127]*', from)
    parts[#parts + 1] = sub(text, from, last)
    local mark = byte(text, last + 1)
    if mark == 34 then
      return concat(parts), last + 2
    elseif mark == 127 then
      parts[#parts + 1], from = "\127", last + 2
    elseif mark ~= 92 then
      return unreadable()
    elseif sub(text, last + 2, last + 2) == "u" then
      parts[#parts + 1], from = read_unicode(text, last + 1)
    else
      parts[#parts + 1] = MEANT[sub(text, last + 2, last + 2)] or unreadable()
      from = last + 3
    end
  end
end

local function read_number(text, at)
  local _, last = find(text, "^-?%d+", at)
  if not last or find(text, "^-?0%d", at) then
    return unreadable()
  end
  local _, fraction = find(text, "^%.%d+", last + 1)
  last = fraction or last
  local _, exponent = find(text, "^[eE][+-]?%d+", last + 1)
  last = exponent or last
  return tonumber(sub(text, at, last)), last + 1
end

local function skip(text, at)
  local _, last = find(text, "^[ \t\r\n]*", at)
  return last + 1
end

local read

local function read_list(text, at, depth)
  local list, count = setmetatable({}, array_mark), 0
  at = skip(text, at + 1)
  if byte(text, at) == 93 then
    return list, at + 1
  end
  while true do
    count = count + 1
    list[count], at = read(text, at, depth)
    at = skip(text, at)
    local mark = byte(text, at)
    if mark == 93 then
      return list, at + 1
    elseif mark ~= 44 then
      return unreadable()
    end
    at = at + 1
  end
end

local function read_object(text, at, depth)
  local object, name, value = {}, nil, nil
  at = skip(text, at + 1)
  if byte(text, at) == 125 then
    return object, at + 1
  end
  while true do
    at = skip(text, at)
    if byte(text, at) ~= 34 then
      return unreadable()
    end
    name, at = read_string(text, at)
    at = skip(text, at)
    if byte(text, at) ~= 58 then
      return unreadable()
    end
    value, at = read(text, at + 1, depth)
    -- A field that is null is a field that is not there; in a list it keeps its place.
    if value == null then
      value = nil
    end
    object[name] = value
    at = skip(text, at)
    local mark = byte(text, at)
    if mark == 125 then
      return object, at + 1
    elseif mark ~= 44 then
      return unreadable()
    end
    at = at + 1
  end
end

function read(text, at, depth)
  at = skip(text, at)
  local mark = sub(text, at, at)
  if mark == '"' then
    return read_string(text, at)
  elseif mark == "{" or mark == "[" then
    if depth >= most_depth then
      refuse("runtime", "nested too deep")
    end
    return (mark == "{" and read_object or read_list)(text, at, depth + 1)
  end
  local word = WORDS[mark]
  if word and sub(text, at, at + #word[1] - 1) == word[1] then
    return word[2], at + #word[1]
  end
  return read_number(text, at)
end

local function decode(text)
  local value, at = read(text, 1, 0)
  if skip(text, at) <= #text then
    return unreadable()
  end
  return value
end

return encode, decode
