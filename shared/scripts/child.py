"""The child process that runs owners' scripts: `python -m shared.scripts.child`, started by `process.py`.

Frames in, frames out, one answer for each call, in order. Before it reads the first script it has given up files,
processes and the network; what it is given it forgets with each call.
"""

import sys
from contextlib import suppress
from typing import BinaryIO, Final

from shared.children.frames import read_frame, write_frame
from shared.children.manners import obey_the_parent_only
from shared.scripts.confinement import confine, grant_processor_time
from shared.scripts.runtime import Failed, Limits, run
from shared.scripts.words import CALL, CHECK, FAILED, READY, SCRIPT, VALUE

LIMITS: Final = Limits()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer frames until the parent has no more."""
    function, script = b"", b""
    while frame := read_frame(source):
        kind, payload = frame
        if kind == SCRIPT:
            function, _, script = payload.partition(b"\n")
        elif kind in {CALL, CHECK}:
            grant_processor_time()
            found = run(script, function, payload if kind == CALL else None, LIMITS)
            if isinstance(found, Failed):
                write_frame(sink, (FAILED, f"{found.reason}\n{found.message}".encode()))
            else:
                write_frame(sink, (VALUE, found))


def main() -> None:
    obey_the_parent_only()
    run(b"function build() return {} end", b"build", b"[]", LIMITS)  # whatever loads late, loads now
    filtered = confine()
    with suppress(BrokenPipeError):
        write_frame(sys.stdout.buffer, (READY, b"filtered" if filtered else b"limited"))
        serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
