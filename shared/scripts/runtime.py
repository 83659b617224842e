"""One call of an owner's script in a Lua of its own, which is thrown away afterwards. Only the child imports this.

Lua 5.4 and no other: its hook can be relied on. Nothing but strings crosses, and no object of Python's is ever in
the runtime; the filter and the two switches are there in case that should stop being true (CVE-2026-34444).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from lupa import lua54

from shared.scripts.failures import Reason

_FOLDER: Final = Path(__file__).parent / "lua"


def _compiled() -> dict[bytes, bytes]:
    """Our own chunks as bytecode, which loads in a third of the time. A script itself is only ever loaded as text."""
    dump = lua54.LuaRuntime(encoding=None).execute(
        b"return function(source, name) return string.dump(assert(load(source, name, 't'))) end"
    )
    return {
        name.encode(): dump((_FOLDER / f"{name}.lua").read_bytes(), f"={name}".encode())
        for name in ("boot", "json", "encodings", "hashes")
    }


_CHUNKS: Final = _compiled()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may take: instructions of Lua, seconds of processor, and bytes; `interval` is the hook's."""

    instructions: int = 1_000_000
    interval: int = 1_000
    seconds: float = 0.05
    memory: int = 8_000_000
    depth: int = 16
    bytes: int = 64 * 1024
    text: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no value. `message` is Lua's, and may quote what the script was given."""

    reason: Reason
    message: str = ""


def run(script: bytes, function: bytes, parameters: bytes | None, limits: Limits) -> bytes | Failed:
    """What the function returns, as JSON; without parameters only whether the script defines it."""
    lua = lua54.LuaRuntime(
        encoding=None,
        register_eval=False,
        register_builtins=False,
        attribute_filter=_deny,
        max_memory=limits.memory,
        unpack_returned_tuples=True,
    )
    state = lua.table()
    try:
        boot = lua.globals()[b"load"](_CHUNKS[b"boot"], b"=boot", b"b")
        caps = lua.table_from({name.encode(): value for name, value in asdict(limits).items()})
        found = boot(lua.table_from(_CHUNKS), caps, state)(script, function, parameters)
    except lua54.LuaMemoryError:
        return Failed(Reason.OVER_MEMORY)
    except lua54.LuaError:
        # The script's own errors do not come this way: only a hook that has tripped gets past the chunk's pcall.
        return Failed(Reason.OVER_BUDGET if state[b"tripped"] else Reason.OVER_MEMORY)
    if found[0] == b"value":
        return bytes(found[1])
    return Failed(Reason(found[1].decode()), found[2].decode("utf-8", "replace"))


def _deny(_of: Any, _name: Any, _is_setting: Any) -> NoReturn:
    raise AttributeError
