"""Settings from the environment (prefix `LAPWING_`), read once by each `main` and handed down as plain values.

A missing one stops the process with its name; a secret has no default.
"""

import re
import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.domain.msisdn import UnknownRegion, parse_region


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _networks(value: object) -> object:
    parts = _split(value)
    if isinstance(parts, tuple | list):
        return tuple(ip_network(part) if isinstance(part, str) else part for part in parts)
    return parts


def _region(value: object) -> object:
    """In capitals; a wrong one stops the process here, or every number without a country code would be refused."""
    if not isinstance(value, str):
        return value
    try:
        return parse_region(value) if value.strip() else None
    except UnknownRegion:
        raise ValueError(f"{value} is not a known country; give its two-letter code, such as ZA or GB") from None


def _origins(value: object) -> object:
    parts = _split(value)
    if isinstance(parts, tuple | list):
        for part in parts:
            if not re.fullmatch(r"https?://[^/*\s?#@]+", str(part)):
                raise ValueError(f"{part!r} is no origin; name each as https://host or https://host:port")
    return parts


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]

Region = Annotated[str | None, BeforeValidator(_region)]


class Settings(BaseSettings):
    """Everything a process can be told from outside; `deploy/env.example` explains each."""

    model_config = SettingsConfigDict(env_prefix="LAPWING_", frozen=True, extra="ignore")

    database_url: str
    redis_url: str
    secret_keys: Secrets = Field(min_length=1)
    admin_key: SecretStr | None = None

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: str = ""
    state_dir: Path = Path(".lapwing")
    allowed_networks: Networks = ()
    default_region: Region = None
    rate_limit: int = Field(default=60_000, ge=0)
    trusted_proxies: Networks = ()
    cors_origins: Origins = ()

    gateway_http_engine: Literal["pyreqwest", "httpx"] = "pyreqwest"
    gateway_deadline_seconds: float = Field(default=10, gt=0, le=120)
    lease_seconds: float = Field(default=30, gt=0, le=600)
    lanes: Words = ("urgent", "bulk", "webhooks")
    bulk_slots: int = Field(default=500, ge=1, le=5000)
    urgent_slots: int = Field(default=100, ge=1, le=5000)
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    database_pool: int = Field(default=10, ge=2, le=100)
    smtp_url: SecretStr | None = None
    smtp_ca_file: Path | None = None
    mail_from: str | None = None
    # For proofs only: the step at which the process kills itself (`dispatcher/failpoints.py`).
    failpoints: Words = ()

    @property
    def url_for_callbacks(self) -> str:
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @classmethod
    def from_environment(cls) -> Self:
        """The settings, or an exit that names what is missing or wrong."""
        try:
            return cls()  # type: ignore[call-arg]  # the values come from the environment
        except ValidationError as error:
            for problem in error.errors(include_input=False, include_url=False):
                name = "LAPWING_" + "_".join(str(part) for part in problem["loc"][:1]).upper()
                reason = "is not set" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
                sys.stderr.write(f"{name}: {reason}. See deploy/env.example.\n")
            raise SystemExit(2) from None
