"""The admin key and the secret keys of a local installation, in a private file of its state."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import ServerFailed
from shared import api_keys, sealing

FILE = "keys.env"
ADMIN_KEY = "LAPWING_ADMIN_KEY"
SECRET_KEYS = "LAPWING_SECRET_KEYS"  # noqa: S105 - the name of a setting


@dataclass(frozen=True, slots=True)
class Keys:
    """What `make run` hands to its processes; `fresh` when made just now."""

    admin: str = field(repr=False)
    secret: str = field(repr=False)
    fresh: bool

    def as_environment(self) -> dict[str, str]:
        return {ADMIN_KEY: self.admin, SECRET_KEYS: self.secret}


def keep_keys(state: Path) -> Keys:
    """Those of this state directory, made at the first call."""
    path = state / FILE
    if path.exists():
        return _read(path)
    if (state / "postgres").exists():
        raise ServerFailed(
            f"{path} is missing, but {state} holds a database whose secrets only those keys open. "
            "Restore the file from a backup, or remove the directory to start anew."
        )
    keys = Keys(admin=api_keys.new_key().text, secret=sealing.new_key(), fresh=True)
    _write(path, keys)
    return keys


def _read(path: Path) -> Keys:
    path.chmod(0o600)
    lines = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    found = {name.strip(): value.strip() for name, _, value in lines}
    for name in (ADMIN_KEY, SECRET_KEYS):
        if not found.get(name):
            raise ServerFailed(f"{path} has no line {name}=...; restore it from a backup.")
    return Keys(admin=found[ADMIN_KEY], secret=found[SECRET_KEYS], fresh=False)


def _write(path: Path, keys: Keys) -> None:
    """Whole or not at all, and never readable by others."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    lines = [f"{name}={value}\n" for name, value in keys.as_environment().items()]
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        written.writelines(lines)
        written.flush()
        os.fsync(written.fileno())
    draft.rename(path)
