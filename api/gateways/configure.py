"""What a client gives becomes what is stored: settings as the adapter wants them, secrets sealed."""

import secrets as random
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import SecretStr

from api.gateways.queries import GatewayRow
from api.gateways.schemas import BalanceCheck, GatewayIn, GatewayPatch
from shared.adapter import Adapter
from shared.domain.breaker import Health
from shared.errors import Invalid
from shared.gateways import ADAPTERS, METERED, can_be_asked, custom
from shared.gateways.custom.presets import PRESETS, expanded
from shared.queries.audit import difference
from shared.queries.gateways import open_secrets, seal_secrets
from shared.sealing import SealBroken, Sealer

_V = TypeVar("_V")

# A shorter secret may stand in a script by chance.
_TELLING_FROM: Final = 6
_OPEN: Final = ("name", "enabled", "location_ids", "pace", "balance_check")
_TOKEN_BYTES: Final = 24  # 192 bits, 32 characters in a path


def adapter_of(kind: str) -> Adapter:
    adapter = ADAPTERS.get(kind)
    if adapter is None:
        if kind in PRESETS:
            raise Invalid(
                f"kind is {custom.KIND} for what is a preset: write kind {custom.KIND} and preset {kind}.",
                pointer="/kind",
            )
        known = ", ".join(sorted(ADAPTERS))
        raise Invalid(f"kind is not known here; the kinds known are: {known}.", pointer="/kind")
    return adapter


def new_row(given: GatewayIn, *, gateway_id: UUID, sealer: Sealer, now: datetime) -> dict[str, Any]:
    """A gateway's row, but for its place in the order."""
    secrets = _merged({}, _revealed(given.secrets))
    settings = checked_settings(given.kind, preset=given.preset, settings=given.settings, secrets=given.secrets)
    _check_script_holds_none(settings, secrets)
    return {
        "id": gateway_id,
        "name": given.name,
        "kind": given.kind,
        "enabled": given.enabled,
        "location_ids": given.location_ids or None,
        "settings": dict(settings),
        "secrets_sealed": seal_secrets(secrets, gateway_id=gateway_id, sealer=sealer),
        "callback_token": new_callback_token(),
        "pace": given.pace and given.pace.model_dump(mode="json"),
        "balance_check": _checked(given.balance_check, kind=given.kind, settings=settings),
        "health": "ok",
        "created_at": now,
        "updated_at": now,
    }


def new_callback_token() -> str:
    return random.token_urlsafe(_TOKEN_BYTES)


def checked_settings(
    kind: str, *, preset: str | None, settings: Mapping[str, Any], secrets: Mapping[str, SecretStr]
) -> Mapping[str, Any]:
    """The settings as they are stored: over those of the preset where one is named, so that no preset changes them."""
    adapter = adapter_of(kind)
    if "preset" in settings:
        raise Invalid("preset stands beside settings, not in them; move it.", pointer="/settings/preset")
    if preset is not None:
        if kind != custom.KIND:
            raise Invalid(
                f"preset can be named with the kind {custom.KIND} alone; leave one of them out.", pointer="/preset"
            )
        settings = expanded(preset, settings)
    return adapter.check_settings(settings, _merged({}, _revealed(secrets)))


def changed_row(row: GatewayRow, given: GatewayPatch, *, sealer: Sealer, now: datetime) -> dict[str, Any]:
    """The columns that a patch changes."""
    changes = given.model_dump(mode="json", exclude_unset=True, exclude={"settings", "secrets"})
    if "location_ids" in changes:
        changes["location_ids"] = changes["location_ids"] or None
    if given.model_fields_set & {"balance_check", "settings", "secrets"}:
        changes["balance_due_at"] = None  # asked at once: the limits are new, or what stood in the way may be mended
    if given.enabled and not row.enabled and "enabled" in changes:
        changes |= healthy(now)
    if given.model_fields_set & {"settings", "secrets"}:
        secrets = _merged(_opened(row, sealer), _revealed(given.secrets))
        settings = _merged(row.settings, given.settings)
        changes["settings"] = dict(adapter_of(row.kind).check_settings(settings, secrets))
        _check_still_told(row, given, changes["settings"])
        _check_script_holds_none(changes["settings"], secrets)
        if given.secrets:
            sealed = seal_secrets(secrets, gateway_id=row.id, sealer=sealer)
            changes["secrets_sealed"] = sealed
    if "balance_check" in changes:
        settings = changes.get("settings", row.settings)
        changes["balance_check"] = _checked(given.balance_check, kind=row.kind, settings=settings)
    return {**changes, "updated_at": now}


def _check_script_holds_none(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Every wording of a script is kept and can be read: a secret in one could not be taken back."""
    script = settings.get("script", "")
    for name, secret in secrets.items():
        if len(secret) >= _TELLING_FROM and secret in script:
            raise Invalid(
                f"script holds the secret {name} itself, and scripts can be read; write %SECRET:{name}% in its place.",
                pointer="/settings/script",
            )


def _check_still_told(row: GatewayRow, given: GatewayPatch, settings: Mapping[str, Any]) -> None:
    """Whoever takes out how the balance is asked for, takes out who watches it, too."""
    watched = bool(row.balance_check and row.balance_check.get("enabled", True))
    if "balance_check" in given.model_fields_set or not watched:
        return
    if can_be_asked(row.kind, row.settings) and not can_be_asked(row.kind, settings):
        raise Invalid(
            "balance is what balance_check asks by; leave it, or set balance_check to null as well.",
            pointer="/settings/balance",
        )


def _checked(check: BalanceCheck | None, *, kind: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The check as it is stored; nobody should wait for warnings that cannot come."""
    if check is None:
        return None
    if check.enabled and kind not in METERED:
        raise Invalid(
            f"Gateways of kind {kind} cannot be asked for their balance; leave balance_check out.",
            pointer="/balance_check",
        )
    if check.enabled and not can_be_asked(kind, settings):
        raise Invalid(
            "The settings do not say how the balance is asked for; add settings.balance, or leave balance_check out.",
            pointer="/balance_check",
        )
    return check.model_dump(mode="json")


def healthy(now: datetime) -> dict[str, Any]:
    """What clears a withdrawal or an open breaker: its owner says that the cause is gone."""
    return {
        "health": Health.OK.value,
        "health_reason": None,
        "health_at": now,
        "health_until": None,
        "health_by": None,
        "trips": 0,
        "resting_until": None,
    }


def told(given: GatewayIn | GatewayPatch) -> dict[str, Any]:
    """What the audit trail may know: of settings and secrets only which were given."""
    open_ = given.model_dump(mode="json", exclude_unset=True, exclude={"settings", "secrets"})
    named = {name: sorted(getattr(given, name)) for name in ("settings", "secrets")}
    script = given.settings.get("script")
    # Enough to tell which version was put in force, and nothing of what stands in it.
    marked = {"script_sha256": sha256(script.encode()).hexdigest()} if isinstance(script, str) else {}
    return {**open_, **{name: keys for name, keys in named.items() if keys}, **marked}


def changed_openly(was: GatewayRow, row: GatewayRow) -> dict[str, Any]:
    """What the audit trail may know of a change: from what to what, and of settings their names alone."""
    differs = difference(*({name: getattr(each, name) for name in _OPEN} for each in (was, row)))
    settings = sorted(
        name for name in {*was.settings, *row.settings} if was.settings.get(name) != row.settings.get(name)
    )
    return {**differs, "settings": settings} if settings else differs


def _opened(row: GatewayRow, sealer: Sealer) -> dict[str, str]:
    """The secrets so far; none, where they cannot be opened and all have to be given again."""
    try:
        return open_secrets(row.secrets_sealed, gateway_id=row.id, sealer=sealer)
    except SealBroken:
        return {}


def _merged(old: Mapping[str, _V], new: Mapping[str, _V | None]) -> dict[str, _V]:
    """RFC 7396, one level deep: null takes a key out, and so does an empty text."""
    merged: Iterable[tuple[str, _V | None]] = {**old, **new}.items()
    return {name: value for name, value in merged if value is not None and value != ""}


def _revealed(secrets: Mapping[str, SecretStr | None]) -> dict[str, str | None]:
    return {name: secret.get_secret_value() if secret else None for name, secret in secrets.items()}
