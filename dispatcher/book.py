"""The gateways as this process knows them: read from Postgres every second, so that a hand-over asks no database."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.adapter import Account, Adapter, Capabilities
from shared.domain.balance import State, check_of, state_of
from shared.domain.breaker import Health
from shared.domain.msisdn import country_of
from shared.domain.pace import Pace
from shared.domain.routing import Route, is_newcomer
from shared.domain.sender_id import is_name, may_show
from shared.gateways import ACCOUNT_WIDE, ADAPTERS, adapter_for
from shared.queries.gateways import ConfiguredGateway, list_configured, read_clock
from shared.sealing import Sealer

FRESH_SECONDS: Final = 1.0
# Settings, of whatever kind, that say who sends where a message does not.
_OWN_SENDER_SETTINGS: Final = ("from", "sender_id")
_SENDER_SETTINGS: Final = (*_OWN_SENDER_SETTINGS, "messaging_service_sid")


class Book:
    """Enabled gateways in the operator's order, with their accounts opened."""

    def __init__(self, *, sealer: Sealer, public_url: str) -> None:
        self._sealer = sealer
        self._public_url = public_url
        self._read_at = -FRESH_SECONDS
        self._kinds: Mapping[UUID, str] = {}
        self._names: Mapping[UUID, str] = {}
        self._adapters: Mapping[UUID, tuple[Account, Adapter]] = {}
        self.routes: Sequence[Route] = ()
        self._routes: Mapping[UUID, Route] = {}
        self._newcomers: set[UUID] = set()
        self._is_read = False
        self.accounts: Mapping[UUID, Account] = {}

    @property
    def is_fresh(self) -> bool:
        return monotonic() - self._read_at < FRESH_SECONDS

    @property
    def public_url(self) -> str:
        """Where gateways find the api."""
        return self._public_url

    def forget(self) -> None:
        """Something changed: read again before the next choice."""
        self._read_at = -FRESH_SECONDS

    async def read(self, tx: AsyncConnection) -> None:
        """Read the gateways anew."""
        configured = await list_configured(tx, sealer=self._sealer, public_url=self._public_url)
        self.take([gateway for gateway in configured if gateway.kind in ADAPTERS], now=await read_clock(tx))
        self._read_at = monotonic()

    def take(self, configured: Sequence[ConfiguredGateway], *, now: datetime) -> None:
        """Accounts of all, for look-ups and late answers; routes through those that are enabled."""
        usable = [one for one in configured if one.account is not None]
        self._kinds = {one.id: one.kind for one in usable}
        self._names = {one.id: one.name for one in usable}
        known = self.accounts
        # An unchanged account stays the same object: adapters may keep what they derived from it.
        self.accounts = {
            one.id: known[one.id] if known.get(one.id) == one.account else one.account
            for one in usable
            if one.account is not None
        }
        self._adapters = {id_: (account, self._adapter_for(account)) for id_, account in self.accounts.items()}
        routes = [
            (one.enabled, _route(one, now=now, capabilities=self._adapters[one.id][1].CAPABILITIES)) for one in usable
        ]
        before = {route.gateway_id: route for route in self.routes}
        self.routes = [route for enabled, route in routes if enabled]
        if self._is_read:
            self._newcomers |= {one.gateway_id for one in self.routes if is_newcomer(one, before.get(one.gateway_id))}
        self._is_read = True
        self._routes = {route.gateway_id: route for _, route in routes}

    def take_newcomers(self) -> Sequence[Route]:
        """The enabled gateways that may take what they could not when this was asked before."""
        newcomers, self._newcomers = self._newcomers, set()
        return [route for route in self.routes if route.gateway_id in newcomers]

    def let_rest(self, gateway_id: UUID, *, until: datetime) -> None:
        """It asked to be given time: known here before the next look."""
        self.routes = [
            replace(route, resting_until=max(until, route.resting_until or until))
            if route.gateway_id == gateway_id
            else route
            for route in self.routes
        ]
        self._routes = {**self._routes, **{route.gateway_id: route for route in self.routes}}

    def let_try(self, gateway_ids: Collection[UUID], *, by: str, until: datetime) -> None:
        """The right to try these out was taken: known here before the next look."""
        self.routes = [
            replace(route, tried_by=by, tried_until=until) if route.gateway_id in gateway_ids else route
            for route in self.routes
        ]
        self._routes = {**self._routes, **{route.gateway_id: route for route in self.routes}}

    def knows(self, account: Account) -> bool:
        """Whether its gateway is still there, enabled or not."""
        return account.gateway_id in self.accounts

    def adapter_of(self, account: Account) -> Adapter:
        """Who speaks for this account, with what was derived from its settings."""
        known, adapter = self._adapters[account.gateway_id]
        return adapter if known is account else adapter_for(self._kinds[account.gateway_id], account)

    def _adapter_for(self, account: Account) -> Adapter:
        known, adapter = self._adapters.get(account.gateway_id, (None, None))
        if adapter is not None and known is account:
            return adapter
        return adapter_for(self._kinds[account.gateway_id], account)

    def sender_for(self, gateway_id: UUID, sender_id: str | None, msisdn: str) -> str | None:
        """The sender of a message through this gateway: its own, else the only one there is.

        A name goes nowhere where carriers take none: there it is the gateway's number, or what its settings say.
        """
        route = self._routes.get(gateway_id)
        if sender_id is None:
            return route.default_sender if route else None
        if not is_name(sender_id) or may_show(sender_id, country=country_of(msisdn)):
            return sender_id
        return route.default_number if route else None

    def shown_by(self, gateway_id: UUID, sender_id: str | None, msisdn: str) -> str | None:
        """What the handset shows as the sender; None where that is the gateway's own affair."""
        sender = self.sender_for(gateway_id, sender_id, msisdn)
        account = self.accounts.get(gateway_id)
        if sender is not None or account is None:
            return sender
        named = (account.settings.get(name) for name in _OWN_SENDER_SETTINGS)
        return next((str(one) for one in named if one), None)

    def twins_of(self, gateway_id: UUID) -> frozenset[UUID]:
        """Other gateways, enabled or not, that share its account at a vendor with one address for all news of it."""
        kind, account = self._kinds.get(gateway_id), self.accounts.get(gateway_id)
        vendor = ACCOUNT_WIDE.get(kind or "")
        if vendor is None or account is None:
            return frozenset()
        mine = vendor.account_at_vendor(account)
        return frozenset(
            id_
            for id_, other in self.accounts.items()
            if id_ != gateway_id and self._kinds[id_] == kind and vendor.account_at_vendor(other) == mine
        )

    def name_of(self, gateway_id: UUID) -> str:
        """What its operator calls it: the label of its metrics."""
        return self._names.get(gateway_id, "unknown")

    def kind_of(self, gateway_id: UUID) -> str | None:
        return self._kinds.get(gateway_id)


def _route(one: ConfiguredGateway, *, now: datetime, capabilities: Capabilities) -> Route:
    tried_out = one.health == Health.HALF_OPEN
    return Route(
        gateway_id=one.id,
        kind=one.kind,
        location_ids=one.location_ids,
        sender_ids=one.sender_ids,
        attachments=capabilities.attachments,
        withdrawn=one.health == Health.WITHDRAWN,
        empty=state_of(one.balance, check_of(one.balance_check)) is State.EMPTY,
        open=one.health in {Health.OPEN, Health.HALF_OPEN},
        half_open=tried_out,
        tried_by=one.health_by if tried_out else None,
        tried_until=one.health_until if tried_out else None,
        waited=(now - one.health_at).total_seconds() if tried_out and one.health_at else 0.0,
        slow=one.health == Health.SLOW,
        pace=Pace.of(one.pace),
        resting_until=one.resting_until,
        default_sender=_only(one, one.sender_ids),
        default_number=_only(one, [sender for sender in one.sender_ids if not is_name(sender)]),
        repeats=capabilities.repeats,
        changed_at=one.updated_at,
    )


def _only(one: ConfiguredGateway, senders: Collection[str]) -> str | None:
    """What the handset shows where neither message nor settings name anybody: the sender ID, if there is only one."""
    names_one = one.account is not None and any(one.account.settings.get(name) for name in _SENDER_SETTINGS)
    return None if names_one or len(senders) != 1 else next(iter(senders))
