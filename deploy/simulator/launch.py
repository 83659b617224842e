"""Starts a simulator as its own process, for tests, the bench and the demo, and turns its dials.

Blocking on purpose: call it from a thread or before the loop. On Linux the simulator ends with
the *thread* that started it, unless `outlive_parent` is given.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class SimulatorError(RuntimeError):
    """The simulator did not start, or refused what it was asked."""


class Simulator:
    """One simulator process. `start` after `kill` or `stop` takes the same ports and ledger.

    Without a path the ledger lives in a scratch directory, as long as this object.
    """

    def __init__(
        self,
        ledger_path: Path | None = None,
        *,
        latency_ms: float = 0.0,
        ledger_bodies: bool = False,
        dials: dict[str, Any] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        if ledger_path is None:
            scratch = Path(tempfile.mkdtemp(prefix="simulator-"))
            weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
            ledger_path = scratch / "ledger.jsonl"
        self.ledger_path = ledger_path
        self._arguments = [
            f"--latency-ms={latency_ms}",
            f"--dials={json.dumps(dials or {})}",
            *(["--ledger-bodies"] if ledger_bodies else []),
            *arguments,
        ]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self.control_port = 0
        self.account_sid = ""
        self.auth_token = ""
        self.api_key = ""
        self.api_secret = ""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """The same place while the dial `tls` is on."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise SimulatorError("the simulator is not running; call start() first")
        return self._process.pid

    def start(self) -> Self:
        ports = [f"--port={self.port}", f"--control-port={self.control_port}"]
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "deploy.simulator",
                f"--ledger={self.ledger_path}",
                *self._arguments,
                *ports[: 2 if self.port else 0],
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._end(kill=False)
            raise SimulatorError(f"the simulator ended with {code} before it was ready")
        ready = json.loads(line)
        self.port = ready["port"]
        self.control_port = ready["control_port"]
        self.account_sid = ready["account_sid"]
        self.auth_token = ready["auth_token"]
        self.api_key = ready["api_key"]
        self.api_secret = ready["api_secret"]
        return self

    def dials(self) -> dict[str, Any]:
        return self._control("GET", "/control/dials")

    def set_dials(self, **dials: Any) -> dict[str, Any]:
        """Turn the named dials and leave the others; returns all of them."""
        return self._control("PUT", "/control/dials", dials)

    def reset_dials(self) -> dict[str, Any]:
        """All dials back to where they stood at the start."""
        return self._control("DELETE", "/control/dials")

    def stats(self) -> dict[str, Any]:
        return self._control("GET", "/control/ledger/stats")

    def quiesce(self, timeout: float = 30.0) -> bool:
        """Wait until no receipt is waiting to be told; False when time ran out."""
        found = self._control("POST", "/control/quiesce", {"timeout": timeout}, timeout=timeout)
        return bool(found["quiet"])

    def inbound(self, **message: Any) -> dict[str, Any]:
        """Post an inbound message: sender, to, text, url, opt_out_type, forged, copies, ..."""
        if "sender" in message:
            message["from"] = message.pop("sender")
        return self._control("POST", "/control/inbound", message)

    def stop_listening(self, seconds: float) -> None:
        """Refuse connections for a while; /control goes on."""
        self._control("POST", "/control/stop_listening", {"seconds": seconds})

    def stop(self) -> int:
        """SIGTERM, and wait; the exit status."""
        return self._end(kill=False)

    def kill(self) -> int:
        """SIGKILL, and wait."""
        return self._end(kill=True)

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self, *, kill: bool) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if kill:
            process.kill()
        else:
            process.terminate()  # does nothing to a process that has ended
        try:
            status = process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        assert process.stdout is not None
        process.stdout.close()
        return status

    def _control(self, method: str, path: str, body: object = None, *, timeout: float = 30.0) -> dict[str, Any]:
        line = HTTPConnection("127.0.0.1", self.control_port, timeout=timeout + 30)
        try:
            line.request(method, path, json.dumps(body) if body is not None else None)
            answer = line.getresponse()
            found: dict[str, Any] = json.loads(answer.read())
        except (OSError, HTTPException) as error:
            raise SimulatorError(f"{method} {path}: {error}") from error
        finally:
            line.close()
        if answer.status != 200:
            raise SimulatorError(str(found.get("detail", found)))
        return found
