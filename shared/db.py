"""The connection to Postgres: one engine a process, transactions as `async with begin(engine) as tx`.

There is no ORM session: a query takes an AsyncConnection and returns rows.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Transaction = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


def build_engine(
    url: str, *, application_name: str, pool_size: int = 10, ping: bool = True, command_timeout: float = 30.0
) -> AsyncEngine:
    """An engine whose statements cannot hang for ever.

    `ping` asks every connection whether it lives before it is used: for a request that is not repeated by itself.
    `command_timeout` is in seconds, and above what any statement may take on the server.
    """
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=ping,
        pool_timeout=10,
        json_serializer=_dump_json,
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
