"""A gateway's row as its owner may see it: secrets as hints, the addresses for its callbacks spelled out."""

from datetime import datetime

from api.gateways.queries import GatewayRow
from api.gateways.schemas import BalanceOut, CallbackUrlsOut, CapabilitiesOut, GatewayOut, HealthOut, hint
from api.resources import Resources
from api.security import ADMIN, Caller
from shared.adapter import Account, Capabilities
from shared.clock import utc_now
from shared.domain import balance as law
from shared.domain import gateway_hosts
from shared.domain.breaker import Health
from shared.gateways import ADAPTERS, WARNED, adapter_for
from shared.queries.gateways import callback_urls, open_secrets
from shared.sealing import SealBroken


def shown(row: GatewayRow, resources: Resources, caller: Caller) -> GatewayOut:
    urls = callback_urls(resources.public_url, gateway_id=row.id, token=row.callback_token)
    can = capabilities_of(row)
    return GatewayOut(
        id=row.id,
        name=row.name,
        kind=row.kind,
        enabled=row.enabled,
        priority=row.priority,
        location_ids=row.location_ids,
        settings=row.settings,
        secrets=_hints(row, resources),
        pace=row.pace,
        balance_check=row.balance_check,
        callback_urls=CallbackUrlsOut.model_validate(urls) if ADMIN in caller.scopes else None,
        old_callback_urls_until=row.old_callback_token_until,
        capabilities=CapabilitiesOut.model_validate(can) if can else None,
        warnings=_warnings(row, resources),
        health=_health(row, now=utc_now()),
        balance=balance_of(row) if row.balance is not None or row.balance_failures else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _warnings(row: GatewayRow, resources: Resources) -> list[str]:
    of_kind = WARNED[row.kind].warnings(row.settings) if row.kind in WARNED else ()
    found = [*gateway_hosts.warnings(row.settings, allowed=resources.allowed_networks), *of_kind]
    if (row.balance_check or {}).get("email") and not resources.sends_mail:
        found.append(
            "balance_check.email gets no letters, for no mail server is configured: set LAPWING_SMTP_URL and "
            "LAPWING_MAIL_FROM; until then notices are only shown under /v1/notices."
        )
    return found


def capabilities_of(row: GatewayRow) -> Capabilities | None:
    """What the kind can do, and where its owner describes it, what the settings make of that."""
    return adapter_for(row.kind, Account(row.id, row.settings, {})).CAPABILITIES if row.kind in ADAPTERS else None


def balance_of(row: GatewayRow) -> BalanceOut:
    """What is known of its credit."""
    return BalanceOut(
        amount=row.balance,
        unit=row.balance_unit,
        at=row.balance_at,
        state=law.state_of(row.balance, law.check_of(row.balance_check)),
        failures=row.balance_failures,
        failure=row.balance_failure,
        next_at=row.balance_due_at,
    )


def _health(row: GatewayRow, *, now: datetime) -> HealthOut:
    """Why nothing is handed to it, if nothing is; a withdrawal weighs more, for it does not end by itself."""
    held = row.retries_held_at
    reason = law.why_empty(row.balance, row.balance_unit, law.check_of(row.balance_check))
    if row.health == Health.OK and reason is not None:
        return HealthOut(state="empty", reason=reason, at=row.balance_at, retries_held_at=held)
    if row.health == Health.OK and row.resting_until is not None and row.resting_until > now:
        return HealthOut(
            state="resting",
            reason="it asked to be given time",
            at=row.health_at,
            until=row.resting_until,
            retries_held_at=held,
        )
    until = row.health_until if row.health in {Health.OPEN, Health.SLOW} else None
    return HealthOut(state=row.health, reason=row.health_reason, at=row.health_at, until=until, retries_held_at=held)


def _hints(row: GatewayRow, resources: Resources) -> dict[str, str]:
    """Nothing, where the secret keys that sealed them are not among ours: they have to be given again."""
    try:
        secrets = open_secrets(row.secrets_sealed, gateway_id=row.id, sealer=resources.sealer)
    except SealBroken:
        return {}
    return {name: hint(secret) for name, secret in sorted(secrets.items())}
