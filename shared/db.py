"""The connection to Postgres: one engine a process, transactions as `async with begin(engine) as tx`.

There is no ORM session: a query takes an AsyncConnection and returns rows.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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


def build_engine(
    url: str, *, application_name: str, pool_size: int = 10, ping: bool = True, command_timeout: float = 30.0
) -> AsyncEngine:
    """An engine whose statements cannot hang for ever.

    `ping` looks at every connection before it is used: for a request that is not repeated by itself.
    `command_timeout` is in seconds, and above what any statement may take on the server.
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
            "server_settings": {
                "application_name": application_name,
                "timezone": "UTC",
                "idle_in_transaction_session_timeout": "60s",
                "statement_timeout": "30s",
                # Claims plan for one month's slice of a table; a plan for all of them would be several times slower.
                "plan_cache_mode": "auto",
                "jit": "off",
            },
        },
    )
    if ping:
        event.listen(engine.sync_engine, "checkin", _note_idle)
        event.listen(engine.sync_engine, "checkout", _check_alive)
    return engine


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
