"""`make clean`: forgets the data and keys of `make run`, wherever they lie, and only while nothing uses them."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.errors import ServerFailed
from deploy.local.process import DirectoryLock


def clean(state: Path) -> list[Path]:
    """Delete the state directory and what it points at; the directories that went. Raises ServerFailed while in use."""
    if not state.is_dir():
        return []
    locks = [DirectoryLock(lock) for lock in sorted(state.glob("*.lock"))]
    try:
        # As root the data lies elsewhere, where Postgres can reach it, and a symlink leads there.
        gone = [link.resolve() for link in state.iterdir() if link.is_symlink() and link.resolve().is_dir()]
        for place in [*gone, state]:
            shutil.rmtree(place)
    finally:
        for lock in locks:
            lock.release()
    return [*gone, state]


def main(environment: Mapping[str, str] | None = None) -> int:
    state = Path((os.environ if environment is None else environment).get("LAPWING_STATE_DIR", ".lapwing"))
    try:
        gone = clean(state)
    except ServerFailed as failure:
        sys.stderr.write(f"Nothing was deleted: {failure}\n")
        return 1
    for place in gone:
        print(f"deleted {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
