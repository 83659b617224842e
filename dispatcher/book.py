"""The gateways as this process knows them: read from Postgres every second, so that a hand-over asks no database."""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.adapter import Account, Adapter
from shared.domain.routing import Route
from shared.gateways import ADAPTERS, adapter_for
from shared.queries.gateways import ConfiguredGateway, list_configured
from shared.sealing import Sealer

FRESH_SECONDS: Final = 1.0


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
        self.accounts: Mapping[UUID, Account] = {}

    @property
    def is_fresh(self) -> bool:
        return monotonic() - self._read_at < FRESH_SECONDS

    def forget(self) -> None:
        """Something changed: read again before the next choice."""
        self._read_at = -FRESH_SECONDS

    async def read(self, tx: AsyncConnection) -> None:
        """Read the gateways anew."""
        configured = await list_configured(tx, sealer=self._sealer, public_url=self._public_url)
        self.take([gateway for gateway in configured if gateway.kind in ADAPTERS])
        self._read_at = monotonic()

    def take(self, configured: Sequence[ConfiguredGateway]) -> None:
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
        self.routes = [
            Route(
                gateway_id=one.id,
                kind=one.kind,
                location_ids=one.location_ids,
                sender_ids=one.sender_ids,
                withdrawn=one.withdrawn,
            )
            for one in usable
            if one.enabled
        ]

    def adapter_of(self, account: Account) -> Adapter:
        """Who speaks for this account, with what was derived from its settings."""
        known, adapter = self._adapters[account.gateway_id]
        return adapter if known is account else adapter_for(self._kinds[account.gateway_id], account)

    def _adapter_for(self, account: Account) -> Adapter:
        known, adapter = self._adapters.get(account.gateway_id, (None, None))
        if adapter is not None and known is account:
            return adapter
        return adapter_for(self._kinds[account.gateway_id], account)

    def name_of(self, gateway_id: UUID) -> str:
        """What its operator calls it: the label of its metrics."""
        return self._names.get(gateway_id, "unknown")

    def kind_of(self, gateway_id: UUID) -> str | None:
        return self._kinds.get(gateway_id)
