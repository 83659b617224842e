-- SHA-256 (FIPS 180-4), MD5 (RFC 1321) and HMAC (RFC 2104) in Lua; digests are bytes. Loaded when first asked for.
local byte, char, gsub, pack, rep, unpack = ...
local hashes = {}

local ROUNDS = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}
local START = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 }
local SINES = {
  0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
  0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
  0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
  0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
  0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
  0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
  0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
  0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
}
local SHIFTS = { [0] = { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } }

-- The message with its padding: a one bit, zeros, and its length in eight bytes (`length` packs it).
local function padded(text, length)
  return text .. "\128" .. rep("\0", (55 - #text) % 64) .. pack(length, #text * 8)
end

function hashes.sha256(text)
  text = padded(text, ">I8")
  local h1, h2, h3, h4, h5, h6, h7, h8 = START[1], START[2], START[3], START[4], START[5], START[6], START[7], START[8]
  for at = 1, #text, 64 do
    local w = { unpack(">I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4", text, at) }
    for place = 17, 64 do
      local x, y = w[place - 15], w[place - 2]
      x, y = x | x << 32, y | y << 32 -- doubled, so that a shift turns it round
      w[place] = w[place - 16] + (x >> 7 ~ x >> 18 ~ (x & 0xffffffff) >> 3)
        + w[place - 7] + (y >> 17 ~ y >> 19 ~ (y & 0xffffffff) >> 10) & 0xffffffff
    end
    local a, b, c, d, e, f, g, h = h1, h2, h3, h4, h5, h6, h7, h8
    for place = 1, 64 do
      local x, y = e | e << 32, a | a << 32
      local t = h + (x >> 6 ~ x >> 11 ~ x >> 25) + (e & f ~ ~e & g) + ROUNDS[place] + w[place] & 0xffffffff
      h, g, f, e, d, c, b, a = g, f, e, d + t & 0xffffffff, c, b, a,
        t + (y >> 2 ~ y >> 13 ~ y >> 22) + (a & b ~ a & c ~ b & c) & 0xffffffff
    end
    h1, h2, h3, h4 = h1 + a & 0xffffffff, h2 + b & 0xffffffff, h3 + c & 0xffffffff, h4 + d & 0xffffffff
    h5, h6, h7, h8 = h5 + e & 0xffffffff, h6 + f & 0xffffffff, h7 + g & 0xffffffff, h8 + h & 0xffffffff
  end
  return pack(">I4I4I4I4I4I4I4I4", h1, h2, h3, h4, h5, h6, h7, h8)
end

function hashes.md5(text)
  text = padded(text, "<I8")
  local a0, b0, c0, d0 = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476
  for at = 1, #text, 64 do
    local w = { unpack("<I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4", text, at) }
    local a, b, c, d = a0, b0, c0, d0
    for place = 0, 63 do
      local quarter, f, word = place // 16, nil, nil
      if quarter == 0 then
        f, word = b & c | ~b & d, place
      elseif quarter == 1 then
        f, word = d & b | ~d & c, (5 * place + 1) % 16
      elseif quarter == 2 then
        f, word = b ~ c ~ d, (3 * place + 5) % 16
      else
        f, word = c ~ (b | ~d & 0xffffffff), 7 * place % 16
      end
      local sum, shift = a + (f & 0xffffffff) + SINES[place + 1] + w[word + 1] & 0xffffffff, SHIFTS[quarter][place % 4 + 1]
      a, d, c, b = d, c, b, b + (sum << shift | sum >> 32 - shift) & 0xffffffff
    end
    a0, b0, c0, d0 = a0 + a & 0xffffffff, b0 + b & 0xffffffff, c0 + c & 0xffffffff, d0 + d & 0xffffffff
  end
  return pack("<I4I4I4I4", a0, b0, c0, d0)
end

local function masked(key, mask)
  return (gsub(key, ".", function(one) return char(byte(one) ~ mask) end))
end

function hashes.hmac(hash, key, text)
  key = #key > 64 and hash(key) or key
  key = key .. rep("\0", 64 - #key)
  return hash(masked(key, 0x5c) .. hash(masked(key, 0x36) .. text))
end

return hashes
