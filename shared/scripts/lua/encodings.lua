-- Base64, URL encoding, hexadecimal and splitting, for scripts.
local byte, char, find, format, gsub, sub = string.byte, string.char, string.find, string.format, string.gsub, string.sub
local concat, tonumber = table.concat, tonumber

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local digit_of, value_of = {}, {}
for place = 0, 63 do
  digit_of[place] = sub(DIGITS, place + 1, place + 1)
  value_of[byte(DIGITS, place + 1)] = place
end

local encodings = {}

function encodings.base64(text)
  local out = {}
  for at = 1, #text, 3 do
    local first, second, third = byte(text, at, at + 2)
    local bits = first << 16 | (second or 0) << 8 | (third or 0)
    out[#out + 1] = digit_of[bits >> 18]
      .. digit_of[bits >> 12 & 63]
      .. (second and digit_of[bits >> 6 & 63] or "=")
      .. (third and digit_of[bits & 63] or "=")
  end
  return concat(out)
end

-- The bytes that base64 stands for; nil if it is none.
function encodings.unbase64(text)
  local body = gsub(text, "=?=?$", "", 1)
  if #body % 4 == 1 or find(body, "[^%w+/]") or #text % 4 ~= 0 then
    return nil
  end
  local out = {}
  for at = 1, #body, 4 do
    local a, b, c, d = byte(body, at, at + 3)
    local bits = value_of[a] << 18 | value_of[b] << 12 | (c and value_of[c] or 0) << 6 | (d and value_of[d] or 0)
    out[#out + 1] = sub(char(bits >> 16, bits >> 8 & 255, bits & 255), 1, d and 3 or c and 2 or 1)
  end
  return concat(out)
end

function encodings.hex(text)
  return (gsub(text, ".", function(one) return format("%02x", byte(one)) end))
end

-- RFC 3986: everything but the unreserved characters.
function encodings.urlencode(text)
  return (gsub(text, "[^%w%-._~]", function(one) return format("%%%02X", byte(one)) end))
end

function encodings.split(text, separator)
  local parts, from = {}, 1
  while true do
    local first, last = find(text, separator, from, true)
    if not first then
      parts[#parts + 1] = sub(text, from)
      return parts
    end
    parts[#parts + 1] = sub(text, from, first - 1)
    from = last + 1
  end
end

return encodings
