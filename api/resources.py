"""What the process owns for as long as it lives. Handed to the app; nothing here is global."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from sqlalchemy.ext.asyncio import AsyncEngine

from api.outlook import Outlook
from api.rate_limits import RateLimits
from api.streams import Streams
from shared.api_keys import digest_of
from shared.clock import utc_now
from shared.db import begin, build_engine
from shared.doorbell import Doorbell, redis_of
from shared.queries.installation import open_pepper
from shared.queries.partitions import ensure_partitions
from shared.queries.revision import find_revision
from shared.scripts.scripts import Scripts
from shared.sealing import Sealer
from shared.settings import Settings
from shared.speeds import Speeds

log = logging.getLogger(__name__)

SHORTEST_ADMIN_KEY = 24


@dataclass(frozen=True, slots=True)
class Resources:
    engine: AsyncEngine
    sealer: Sealer
    pepper: bytes = field(repr=False)
    doorbell: Doorbell
    public_url: str = "http://127.0.0.1:8000"
    default_region: str | None = None
    admin_key_digest: bytes | None = field(default=None, repr=False)
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    cors_origins: tuple[str, ...] = ()
    rate_limits: RateLimits = field(default_factory=RateLimits)
    gateway_deadline: float = 10.0  # seconds that a gateway has for its answer
    sends_mail: bool = True  # whether notices go out as letters, too
    speeds: Speeds = field(default_factory=Speeds)  # how many one-time passwords, and for whom
    outlook: Outlook = field(default_factory=Outlook)  # who would take a message now
    streams: Streams = field(default_factory=Streams)
    # Few campaigns are measured at once: each takes a connection and a good part of a processor.
    estimates: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    scripts: Scripts = field(default_factory=Scripts)  # to try owners' scripts when they are saved


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Everything the api needs, opened from the settings and closed at the end."""
    sealer = Sealer.from_texts([key.get_secret_value() for key in settings.secret_keys])
    admin_key_digest = _admin_key_digest(settings)
    engine = build_engine(settings.database_url, application_name="lapwing-api", pool_size=settings.database_pool)
    doorbell = Doorbell(settings.redis_url)
    rate_limits = RateLimits(redis_of(settings.redis_url), usual=settings.rate_limit)
    speeds = Speeds(settings.redis_url)
    scripts = Scripts(workers=1)
    try:
        async with begin(engine) as tx:
            if await find_revision(tx) is None:
                raise SystemExit("The database has no tables yet; run `alembic upgrade head`.")
            pepper = await open_pepper(tx, sealer, utc_now())
        await _make_months(engine)
        yield Resources(
            engine=engine,
            sealer=sealer,
            pepper=pepper,
            doorbell=doorbell,
            public_url=settings.url_for_callbacks,
            default_region=settings.default_region,
            admin_key_digest=admin_key_digest,
            allowed_networks=settings.allowed_networks,
            cors_origins=settings.cors_origins,
            rate_limits=rate_limits,
            gateway_deadline=settings.gateway_deadline_seconds,
            sends_mail=settings.smtp_url is not None,
            speeds=speeds,
            scripts=scripts,
        )
    finally:
        await scripts.close()
        await speeds.close()
        await rate_limits.close()
        await doorbell.close()
        await engine.dispose()


async def _make_months(engine: AsyncEngine) -> None:
    """Messages may come before the first dispatcher, and what lands in no month keeps its month from being made."""
    try:
        async with begin(engine) as tx:
            await ensure_partitions(tx, utc_now())
    except Exception as error:  # noqa: BLE001 - dispatchers make them, too, and say what is wrong
        log.warning("months were not made", extra={"cause": type(error).__name__})


def _admin_key_digest(settings: Settings) -> bytes | None:
    if settings.admin_key is None:
        return None
    text = settings.admin_key.get_secret_value()
    if len(text) < SHORTEST_ADMIN_KEY:
        # Code 2 as for any other setting: whoever restarts us need not try again.
        sys.stderr.write(
            f"LAPWING_ADMIN_KEY: has {len(text)} characters, needs {SHORTEST_ADMIN_KEY} or more. "
            "See deploy/env.example.\n"
        )
        raise SystemExit(2)
    return digest_of(text)
