"""What scripts have tried: each with what must come of it, a value or the reason of the failure."""

from typing import Any, Final

import pytest
from _pytest.mark import ParameterSet

from shared.scripts.failures import STOPPED, Reason

BIG: Final = "local s = 'x' for i = 1, 20 do s = s .. s end "


def body(lines: str, outcome: Any, *, id: str) -> ParameterSet:  # noqa: A002 - as pytest calls it
    return pytest.param(f"function build(sms) {lines} end", outcome, id=id)


def chunk(script: str, outcome: Any, *, id: str) -> ParameterSet:  # noqa: A002 - as pytest calls it
    return pytest.param(script, outcome, id=id)


# Each of these names must be nothing at all.
_ABSENT: Final = [
    "os",
    "io",
    "require",
    "package",
    "load",
    "loadstring",
    "loadfile",
    "dofile",
    "debug",
    "coroutine",
    "python",
    "collectgarbage",
    "getmetatable",
    "setmetatable",
    "rawget",
    "rawset",
    "rawequal",
    "rawlen",
    "xpcall",
    "print",
    "warn",
    "_G",
    "utf8",
    "_VERSION",
    "string.rep",
    "string.find",
    "string.match",
    "string.gmatch",
    "string.gsub",
    "string.dump",
    "string.pack",
    "string.unpack",
    "string.packsize",
    "string.reverse",
    "table.unpack",
    "table.move",
    "table.pack",
    "math.randomseed",
]

ABSENT: Final = [
    *(body(f"return type({name})", "nil", id=f"no {name}") for name in _ABSENT),
    *(
        body(f"return type(('x').{name})", "nil", id=f"no method {name}")
        for name in ("rep", "find", "match", "gmatch", "gsub", "dump", "pack", "unpack", "reverse")
    ),
]

RUNAWAYS: Final = [
    body("while true do end", Reason.OVER_BUDGET, id="loop"),
    chunk("while true do end", Reason.OVER_BUDGET, id="loop outside of any function"),
    body("::again:: goto again", Reason.OVER_BUDGET, id="goto"),
    body("local function f() return f() end return f()", Reason.OVER_BUDGET, id="tail calls"),
    body("while true do pcall(function() while true do end end) end", Reason.OVER_BUDGET, id="catches its own limit"),
    body(
        "local function f() while true do end end while true do pcall(pcall, pcall, f) end",
        Reason.OVER_BUDGET,
        id="catches its own limit in a nest of pcall",
    ),
    body("for i = 1, 1e9 do pcall(error) end", Reason.OVER_BUDGET, id="calls of C only"),
    body(
        "local t = {} for i = 1, 9999 do t[i] = i end table.sort(t, function() while true do end end)",
        Reason.OVER_BUDGET,
        id="endless comparator",
    ),
    body("while true do pcall(json.encode, sms) end", Reason.OVER_BUDGET, id="helpers in a loop"),
    body(f"{BIG} while true do local y = s < s .. 'y' end", Reason.OVER_BUDGET, id="comparing big strings"),
    body("local function f() return 1 + f() end return f()", Reason.OVER_MEMORY, id="deep recursion"),
    body("local t = {} while true do t[#t + 1] = {} end", Reason.OVER_MEMORY, id="table bomb"),
    body("local s = 'x' while true do s = s .. s end", Reason.OVER_MEMORY, id="string bomb"),
    body(
        "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end",
        Reason.OVER_BUDGET,
        id="catches its own bomb",
    ),
    body(
        f"{BIG} local t = {{}} for i = 1, 1e5 do t[i] = s end return table.concat(t)", Reason.OVER_MEMORY, id="concat"
    ),
    body(
        f"{BIG} local t = {{}} for i = 1, 1e5 do t[i] = s end table.sort(t)",
        Reason.OVER_TIME,
        id="one call of C, for hours",
    ),
]

# Big strings make one instruction slow: the hook stops some of these late, and the deadline the rest.
SLOW: Final = [
    body("local function f() pcall(f) return f() + 1 end return f()", STOPPED, id="recursion through pcall"),
    body(f"{BIG} while true do local y = s:upper() end", STOPPED, id="upper of a big string"),
    body(f"{BIG} while true do local y = s .. 'y' end", STOPPED, id="a big string grows"),
    body(f"{BIG} while true do local y = tonumber(s, 36) end", STOPPED, id="a number of a million digits"),
    body(f"{BIG} while true do local y = string.format('%s', s) end", STOPPED, id="format of a big string"),
]

ESCAPES: Final = [
    body("setmetatable({}, {__gc = function() while true do end end})", Reason.RUNTIME, id="a finalizer"),
    body("getmetatable('').__index = nil", Reason.RUNTIME, id="the strings' own metatable"),
    body("coroutine.wrap(function() while true do end end)()", Reason.RUNTIME, id="a coroutine has no hook"),
    body("os.execute('true')", Reason.RUNTIME, id="a command"),
    body("io.open('/etc/passwd')", Reason.RUNTIME, id="a file"),
    body("require('os').exit()", Reason.RUNTIME, id="a module"),
    body("debug.sethook()", Reason.RUNTIME, id="takes the hook away"),
    body("return load('return 1')", Reason.RUNTIME, id="a chunk of its own"),
    body("error(('x'):upper(), 9)", Reason.RUNTIME, id="an error from a level that is not there"),
    body(f"{BIG} return s:byte(1, -1)", Reason.RUNTIME, id="a million bytes as values"),
    body("return ('x'):upper():lower():sub(1, 1)", "x", id="methods that are left"),
    body("string.upper = nil return ('x'):upper()", "X", id="the library of methods cannot be reached"),
    body("local ok, e = pcall(error, {}) return type(e)", "table", id="error object that is a table, caught"),
    body("error({to = sms.to})", Reason.RUNTIME, id="error object that is a table"),
    body("error(nil)", Reason.RUNTIME, id="error object that is nothing"),
    body("error(error)", Reason.RUNTIME, id="error object that is a function"),
    body("local ok, e = pcall(base64, {}) return type(e)", "string", id="a helper's error is words"),
    body("local ok, e = pcall(json.decode, '[') return type(e)", "string", id="a reader's error is words"),
    body("local ok, e = pcall(json.encode, build) return type(e)", "string", id="a writer's error is words"),
    body("return base64.__globals__", Reason.RUNTIME, id="a helper has no attributes"),
    body(
        "return tostring(base64) .. tostring({}) .. tostring(sms)", "functiontabletable", id="no addresses by tostring"
    ),
    body("return string.format('%s%s', build, {})", "functiontable", id="no addresses by format"),
    body("return string.format('%p', 'x')", Reason.RUNTIME, id="no addresses by %p"),
    body("return string.format('%-5p', sms)", Reason.RUNTIME, id="no addresses by %p with a width"),
    body("return string.format('%999d', 1)", Reason.RUNTIME, id="width of a format"),
    body("return string.format('%99.99f', 1e308)", None, id="longest format"),
    body("local t <close> = {} return 'x'", Reason.RUNTIME, id="a closing value needs a metatable"),
    body("_ENV.error = nil return type(error)", "nil", id="its own environment is its own"),
    body("_ENV = {} return 'x'", "x", id="without an environment"),
    body("sms.to = 'y'", Reason.RUNTIME, id="sms is read-only"),
    body("sms.settings.key = 'y'", Reason.RUNTIME, id="its settings are read-only"),
    body("table.insert(sms, 'y')", Reason.RUNTIME, id="sms cannot be inserted into"),
    body("table.sort(sms.settings.list)", Reason.RUNTIME, id="its lists cannot be sorted"),
    body("json.array(sms)", Reason.RUNTIME, id="sms cannot be made another kind of table"),
    body("json.array(json.null)", Reason.RUNTIME, id="neither can null"),
    body("json.null.x = 1", Reason.RUNTIME, id="null is read-only"),
    body("local _, t = pairs(sms) t.to = 'y'", Reason.RUNTIME, id="pairs gives nothing to write to"),
    body("return json.decode(json.encode(sms)).to", "+15550100", id="sms can be written as JSON"),
    body("local n = 0 for k in pairs(sms) do n = n + 1 end return n .. ''", "3", id="sms can be walked through"),
    body("return tostring(next(sms) ~= nil) .. #sms.settings.list", "true2", id="next and length"),
    body("local t = {} for i, v in ipairs(sms.settings.list) do t[i] = v end return t", ["b", "a"], id="ipairs"),
    chunk("\x1bLua", Reason.SYNTAX, id="bytecode"),
    chunk("x = = 1", Reason.SYNTAX, id="no Lua"),
    chunk("", Reason.MISSING_FUNCTION, id="nothing"),
    chunk("build = 1", Reason.MISSING_FUNCTION, id="build is no function"),
    chunk("function build() return 'x' end read = 1", Reason.MISSING_FUNCTION, id="read is no function"),
    chunk("return 1", Reason.MISSING_FUNCTION, id="a chunk that returns"),
    chunk("error('x')", Reason.RUNTIME, id="a chunk that fails"),
    chunk("function build() return 'x' end " + "(" * 300, Reason.SYNTAX, id="nested brackets"),
    chunk("--" + "x" * 65_536, Reason.TOO_LARGE, id="a script too long"),
]

RESULTS: Final = [
    body("return 'x'", "x", id="a string"),
    body("return ''", "", id="an empty string"),
    body("return {a = 1, b = {true, 'x', 1.5}}", {"a": 1, "b": [True, "x", 1.5]}, id="a table"),
    body("return {}", {}, id="an empty table is an object"),
    body("return json.array()", [], id="an empty list"),
    body("return json.array({1, 2})", [1, 2], id="a list"),
    body("return {a = json.null, b = {json.null}}", {"a": None, "b": [None]}, id="null"),
    body("return {1 << 62, -5, 0.1, 1e300, 2.0}", [1 << 62, -5, 0.1, 1e300, 2], id="numbers"),
    body("return 'é\\0\\127\\\\\"\\u{1F600}'", 'é\0\x7f\\"😀', id="characters"),
    body("return 'x', 'y'", "x", id="only the first counts"),
    body("return nil", Reason.BAD_RESULT, id="nothing"),
    body("return json.null", Reason.BAD_RESULT, id="null itself"),
    body("return 5", Reason.BAD_RESULT, id="a number"),
    body("return true", Reason.BAD_RESULT, id="a boolean"),
    body("return build", Reason.BAD_RESULT, id="a function"),
    body("return {x = build}", Reason.BAD_RESULT, id="a function inside"),
    body("return {0 / 0}", Reason.BAD_RESULT, id="not a number"),
    body("return {math.huge}", Reason.BAD_RESULT, id="infinity"),
    body("return '\\xff'", Reason.BAD_RESULT, id="not UTF-8"),
    body("return '\\xed\\xa0\\x80'", Reason.BAD_RESULT, id="half a surrogate pair"),
    body("return {['\\xff'] = 1}", Reason.BAD_RESULT, id="a name that is not UTF-8"),
    body("return {[{}] = 1}", Reason.BAD_RESULT, id="a table as a key"),
    body("return {[true] = 1}", Reason.BAD_RESULT, id="a boolean as a key"),
    body("return {[1.5] = 1}", Reason.BAD_RESULT, id="a fraction as a key"),
    body("return {[0] = 1}", Reason.BAD_RESULT, id="a list from zero"),
    body("return {[1] = 1, [3] = 1}", Reason.BAD_RESULT, id="gaps"),
    body("return {1, x = 2}", Reason.BAD_RESULT, id="a list and an object"),
    body("local t = {} t.t = t return t", Reason.TOO_DEEP, id="holds itself"),
    body("local t = {} t[1], t[2] = t, t return t", Reason.TOO_DEEP, id="holds itself twice"),
    body("local t = {} for i = 1, 16 do t = {t} end return t", Reason.TOO_DEEP, id="too deep"),
    body("local s = 'x' for i = 1, 17 do s = s .. s end return s", Reason.TOO_LARGE, id="a long string"),
    body("local t = {} for i = 1, 20000 do t[i] = 12345 end return t", Reason.TOO_LARGE, id="a long list"),
    body(
        "local t = {} t[1] = {} for i = 2, 16 do t[i] = t[1] end for i = 1, 15 do t[1][i] = t[i % 2 + 2] end return t",
        Reason.TOO_DEEP,
        id="many ways round",
    ),
]
