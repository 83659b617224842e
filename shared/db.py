"""The connection to Postgres: one engine a process, transactions as `async with begin(engine) as tx`.

There is no ORM session: a query takes an AsyncConnection and returns rows.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any, Final

import asyncpg
from pydantic_core import from_json
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

# A connection that was quiet for so long may have been dropped on the way, without a word to either end.
ASK_AFTER_SECONDS: Final = 10.0
_IDLE_SINCE: Final = "idle_since"

Transaction = Callable[[], AbstractAsyncContextManager[AsyncConnection]]

_SESSION: Final = {
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": "60s",
    "statement_timeout": "30s",
    "jit": "off",
}
# A lasting plan is as good as the table it was made for, and a table that was empty then may be large now. So often a
# connection that is in use makes its plans anew; one that rests has nothing to catch up with but the minute.
_PLAN_USES: Final = 20
_PLAN_SECONDS: Final = 1.0
_PLAN_SECONDS_AT_MOST: Final = 60.0
_PLANNED_AT: Final = "planned_at"
_USES: Final = "uses"
_DISCARD = text("DISCARD PLANS")
# Five hundred keys in a table that was filled a minute ago: by what the planner has heard of it, or has not yet, it
# would read all of the table for them. One plan for all times, by the indexes, costs the same however large it is.
_BY_KEY: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


def build_engine(
    url: str,
    *,
    application_name: str,
    pool_size: int = 10,
    ping: bool = True,
    command_timeout: float = 30.0,
    by_key: bool = False,
) -> AsyncEngine:
    """An engine whose statements cannot hang for ever.

    `ping` looks at every connection before it is used: for a request that is not repeated by itself.
    `command_timeout` is in seconds, and above what any statement may take on the server. `by_key` is for statements
    that find all of their rows by keys, and never read a whole table for it (decision 53).
    """
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        json_serializer=_dump_json,
        json_deserializer=from_json,  # four times as fast as the standard library's
        hide_parameters=True,  # an error must not quote numbers and texts
        connect_args={
            "timeout": 5,
            "command_timeout": command_timeout,
            "server_settings": {"application_name": application_name},
        },
    )
    said = "; ".join(f"SET {name} = '{value}'" for name, value in {**_SESSION, **(_BY_KEY if by_key else {})}.items())
    # Not with the first packet: PgBouncer turns away whoever says more there than it knows.
    event.listen(engine.sync_engine, "connect", lambda made, _record: made.run_async(partial(_say, said)))
    if ping:
        event.listen(engine.sync_engine, "checkin", _note_idle)
        event.listen(engine.sync_engine, "checkout", _check_alive)
    return engine


async def renew_plans(tx: AsyncConnection) -> None:
    """First in a transaction by key: let go of plans that were made long ago for tables that have grown since."""
    info, now = tx.info, monotonic()
    age = now - info.setdefault(_PLANNED_AT, now)
    info[_USES] = info.get(_USES, 0) + 1
    if age >= _PLAN_SECONDS_AT_MOST or (age >= _PLAN_SECONDS and info[_USES] >= _PLAN_USES):
        await tx.execute(_DISCARD)
        info[_PLANNED_AT], info[_USES] = now, 0


async def _say(statements: str, driver: Any) -> None:
    await driver.execute(statements)


def _note_idle(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_IDLE_SINCE] = monotonic()


def _check_alive(connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """Make the pool take another connection in place of a dead one.

    A server that went has closed its end, which is known here without asking. Asking takes three trips, each of them
    a wait for a processor on a busy machine, so it is done only where nothing was heard for long.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the server has closed this connection")
    if monotonic() - record.info.get(_IDLE_SINCE, monotonic()) > ASK_AFTER_SECONDS:
        try:
            connection.ping()
        except Exception as error:
            raise DisconnectionError("the server does not answer on this connection") from error


def _dump_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


@asynccontextmanager
async def begin(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed at the end of the block, rolled back by any exception."""
    async with engine.begin() as tx:
        yield tx


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A read-only transaction on one snapshot, so that the numbers of an answer fit each other."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


def is_outage(error: BaseException) -> bool:
    """Whether the database is away or read-only for now, rather than the statement wrong."""
    if isinstance(error, OSError | asyncio.TimeoutError | ConnectionError | PoolTimeout):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = _state_of(error)
    # 08: connection; 57P: shutdown, crash, cannot connect now; 53: resources; 25006: read-only after a failover.
    return state.startswith(("08", "57P", "53")) or state == "25006"


def is_busy(error: BaseException) -> bool:
    """Whether the statement was given up for others' sake or took too long: the same may pass a moment later."""
    # 40: serialization, deadlock; 55P03: lock not available; 57014: statement timeout.
    return _state_of(error).startswith(("40", "55P03", "57014"))


def is_unstorable(error: BaseException) -> bool:
    """Whether a value is one that the database cannot hold: a NUL in a text, a date beyond its calendar."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    while cause is not None and not isinstance(cause, asyncpg.DataError):
        cause = cause.__cause__
    return cause is not None


def _state_of(error: BaseException) -> str:
    """Its SQLSTATE; while connecting, the driver's errors come bare."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, asyncpg.InterfaceError):
        return "08000"
    state = getattr(cause, "sqlstate", None)
    return state if isinstance(state, str) else ""


async def ping(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
