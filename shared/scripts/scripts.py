"""Runs owners' gateway scripts: a few processes, started when first needed, killed when they do not answer.

The event loop only ever writes to pipes and reads from them. A script shapes a request and does not make it: where
`build` fails, it is certain that nothing was sent.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.children.frames import Frame
from shared.scripts.failures import Reason, ScriptFailed
from shared.scripts.process import Deadlines
from shared.scripts.turns import Rules, Turns
from shared.scripts.words import CALL, CHECK, MOST_ARGUMENT_BYTES, MOST_SCRIPT_BYTES
from shared.scripts.worker import Call, Worker, resting, unavailable

# The functions of a script, and the parts of the argument that each takes; `build` takes it whole.
PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {"build": (), "read": ("answer", "sms")}


class Scripts:
    """What a process owns to run scripts; `close` it before the loop ends."""

    def __init__(self, *, workers: int = 2, deadlines: Deadlines | None = None, rules: Rules | None = None) -> None:
        self._turns: Turns[Call] = Turns(workers, rules or Rules())
        self._work, self._closing = asyncio.Event(), asyncio.Event()
        self._workers = [
            Worker(self._turns, self._work, self._closing, deadlines or Deadlines()) for _ in range(workers)
        ]
        self._tasks: dict[Worker, asyncio.Task[None]] = {}

    async def call(self, script: str, function: str, argument: Mapping[str, Any], *, owner: str = "") -> Any:
        """What a function of the script returns: a string, a list, a mapping; None of `read` only. Raises ScriptFailed.

        `owner` says whose turn it takes, as a gateway's id; without it a script stands for itself.
        """
        [found] = await self.call_many(script, function, [argument], owner=owner)
        if isinstance(found, BaseException):
            raise found
        return found

    async def call_many(
        self, script: str, function: str, arguments: Sequence[Mapping[str, Any]], *, owner: str = ""
    ) -> list[Any]:
        """The same for each of the arguments; in the place of a value there may be a ScriptFailed."""
        parts = PARAMETERS[function]
        frames = [_frame([argument[part] for part in parts] if parts else [argument]) for argument in arguments]
        return await self._run(owner or _name_of(script), script, function, frames)

    async def check(self, script: str) -> frozenset[str]:
        """The functions a script defines. Raises ScriptFailed unless it compiles, runs, and defines `build`."""
        # Its turns are its own: trying a script must neither delay the gateway nor make it rest.
        [found] = await self._run(f"check {_name_of(script)}", script, "build", [(CHECK, b"")])
        if isinstance(found, BaseException):
            raise found
        return frozenset(found) & PARAMETERS.keys()

    async def close(self) -> None:
        """Take no more calls, answer those that run, fail those that wait, and let the processes go."""
        self._closing.set()
        for call in self._turns.clear():
            call.fail(unavailable())
        self._work.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, owner: str, script: str, function: str, frames: Sequence[Frame]) -> list[Any]:
        if failure := self._refusal(owner, script):
            return [failure] * len(frames)
        loop = asyncio.get_running_loop()
        calls = [Call(owner, script, function, frame, loop.create_future()) for frame in frames]
        for call in calls:
            if call.size > MOST_ARGUMENT_BYTES:
                call.fail(ScriptFailed(Reason.TOO_LARGE, "what it would be given is too large"))
            else:
                self._turns.add(call)
        self._start()
        self._work.set()
        return await asyncio.gather(*(call.found for call in calls), return_exceptions=True)

    def _refusal(self, owner: str, script: str) -> ScriptFailed | None:
        if self._closing.is_set():
            return unavailable()
        if len(script.encode("utf-8", "replace")) > MOST_SCRIPT_BYTES:
            return ScriptFailed(Reason.TOO_LARGE, f"the script has more than {MOST_SCRIPT_BYTES} bytes")
        if self._turns.rests(owner, asyncio.get_running_loop().time()):
            return resting()
        return None

    def _start(self) -> None:
        for worker in self._workers:
            task = self._tasks.get(worker)
            if task is None or task.done():
                self._tasks[worker] = asyncio.create_task(worker.serve(), name="scripts")


def _frame(parameters: Sequence[Any]) -> Frame:
    # Half a surrogate pair is no text, and becomes a question mark.
    text = json.dumps(parameters, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return CALL, text.encode("utf-8", "replace")


def _name_of(script: str) -> str:
    return hashlib.sha256(script.encode("utf-8", "replace")).hexdigest()[:16]
