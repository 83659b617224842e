"""Secrets that were replaced: each signs beside the new ones until the time that its rotation promised."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from api.webhooks.queries import AnyRow
from shared.domain.webhook_signature import join_secrets, split_secrets
from shared.errors import Conflict
from shared.sealing import SealBroken, Sealer, place_of_webhook

MOST_OLD: Final = 3
_OLD: Final = "old_secret_sealed"
_OLDER: Final = "older_secrets_sealed"


class TooManySecrets(Conflict):
    """As many old secrets of the webhook sign as may; wait for the first to end, or end them all."""


@dataclass(frozen=True, slots=True)
class _Old:
    secret: bytes = field(repr=False)
    until: datetime


def keep(row: AnyRow, sealer: Sealer, *, hours: int, now: datetime) -> dict[str, Any]:
    """What a rotation makes of the secrets so far, by column: one more that is old for so many hours.

    Zero hours end them all at once: whoever asks for that has lost one. Raises TooManySecrets.
    """
    if not hours:
        return _columns(row, sealer, [])
    kept = [one for one in _read(row, sealer) if one.until > now]
    if len(kept) >= MOST_OLD:
        first = min(one.until for one in kept)
        raise TooManySecrets(
            f"{MOST_OLD} old secrets still sign, each until the time it was promised, the first until "
            f"{first.isoformat(timespec='seconds')}. Rotate after that, or with `keep_old_hours` 0, which ends them "
            "all at once.",
            pointer="/keep_old_hours",
        )
    current = _opened(sealer, row, "secret_sealed")
    latest = [] if current is None else [_Old(current, now + timedelta(hours=hours))]
    return _columns(row, sealer, [*latest, *kept])


def _read(row: AnyRow, sealer: Sealer) -> list[_Old]:
    """All that are kept, the newest first."""
    old, older = _opened(sealer, row, _OLD), _opened(sealer, row, _OLDER)
    found = [] if old is None else [_Old(old, row.old_secret_until)]
    if older is not None:
        found += [_Old(*one) for one in zip(split_secrets(older), row.older_secrets_until, strict=True)]
    return found


def _opened(sealer: Sealer, row: AnyRow, column: str) -> bytes | None:
    """One that none of our keys opens signs nothing: a new secret is what mends the webhook, and is not refused."""
    sealed = row._mapping[column]  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    try:
        return None if sealed is None else sealer.open(sealed, place=place_of_webhook(row.id, column))
    except SealBroken:
        return None


def _columns(row: AnyRow, sealer: Sealer, kept: Sequence[_Old]) -> dict[str, Any]:
    """The latest has columns of its own: a dispatcher of the version before knows no others."""
    old, older = kept[:1], kept[1:]
    joined = join_secrets([one.secret for one in older])
    return {
        _OLD: sealer.seal(old[0].secret, place=place_of_webhook(row.id, _OLD)) if old else None,
        "old_secret_until": old[0].until if old else None,
        _OLDER: sealer.seal(joined, place=place_of_webhook(row.id, _OLDER)) if older else None,
        "older_secrets_until": [one.until for one in older],
    }
