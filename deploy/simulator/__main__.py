"""`python -m deploy.simulator`: listens, prints one line of JSON when ready, ends on SIGTERM."""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from deploy.simulator import ledger as book
from deploy.simulator.checks import BadDial
from deploy.simulator.contract import World
from deploy.simulator.control import Control
from deploy.simulator.dialects import DIALECTS
from deploy.simulator.dials import Dials, turned
from deploy.simulator.gateway import Gateway
from deploy.simulator.ledger import Ledger
from deploy.simulator.listener import Listener
from deploy.simulator.messages import Account, Archive
from deploy.simulator.process import die_with_parent, run, tune_collector
from deploy.simulator.router import Router

FLUSH_AFTER = 0.005


def main() -> None:
    options = _options()
    try:
        dials = _dials(options)
    except BadDial as bad:
        sys.exit(f"--dials: {bad}")
    if not options.outlive_parent:
        die_with_parent()
    tune_collector()
    run(_serve(options, dials))


async def _serve(options: argparse.Namespace, dials: Dials) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    path = options.ledger or Path(mkdtemp(prefix="lapwing-simulator-")) / "ledger.jsonl"
    ledger = Ledger(
        path,
        bodies=options.ledger_bodies,
        only_accepted=options.ledger_only_accepted,
        soon=partial(loop.call_later, FLUSH_AFTER),
    )
    account = Account(options.account_sid, options.auth_token, options.api_key, options.api_secret)
    public = Listener(options.host, options.port)
    private = Listener(options.host, options.control_port)
    gateway = Gateway(
        World(account, Archive(keep=options.keep_messages), dials),
        ledger=ledger,
        listener=public,
        dialects=DIALECTS,
        seed=options.seed,
    )
    router = Router(gateway, Control(gateway, first=dials))
    ledger.note(book.STARTED, at=time.time(), pid=os.getpid(), port=public.port)
    ledger.flush()
    await public.start(lambda: router.connection(public))
    await private.start(lambda: router.connection(private))
    gateway.turn(dials)
    await public.settled()
    _say_ready(public, private, account, path)
    await ended.wait()
    public.stop()
    private.stop()
    ledger.note(book.STOPPED, at=time.time(), callbacks_queued=gateway.stats.callbacks_queued)
    ledger.close()


def _say_ready(public: Listener, private: Listener, account: Account, ledger: Path) -> None:
    ready = {
        "port": public.port,
        "control_port": private.port,
        "pid": os.getpid(),
        "account_sid": account.sid,
        "auth_token": account.auth_token,
        "api_key": account.api_key,
        "api_secret": account.api_secret,
        "ledger": str(ledger),
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


def _dials(options: argparse.Namespace) -> Dials:
    try:
        wanted = json.loads(options.dials)
    except ValueError:
        raise BadDial("dials", "must be JSON") from None
    found = turned(Dials(), {"latency_ms": options.latency_ms, "jitter_ms": options.jitter_ms})
    return turned(found, wanted)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.simulator", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 takes a free one; the ready line says which")
    add("--control-port", type=int, default=0, help="/control only needs this one to be up")
    add("--ledger", type=Path, help="appended to, never cut; in a new temporary folder where none is named")
    add("--ledger-bodies", action="store_true", help="write texts too, not only their SHA-256")
    add("--ledger-only-accepted", action="store_true", help="no lines for refusals and callbacks")
    add("--latency-ms", type=float, default=0.0)
    add("--jitter-ms", type=float, default=0.0)
    add("--dials", default="{}", help="JSON; see README.md")
    add("--account-sid", default="AC" + "0" * 31 + "1")
    add("--auth-token", default="simulator-auth-token")
    add("--api-key", default="SK" + "0" * 31 + "1")
    add("--api-secret", default="simulator-api-secret")
    add("--keep-messages", type=int, default=200_000, help="how many a look-up can find")
    add("--seed", type=int, default=None, help="the same chances in every run")
    add("--outlive-parent", action="store_true", help="stay when the starting process dies")
    return parser.parse_args()


if __name__ == "__main__":
    main()
