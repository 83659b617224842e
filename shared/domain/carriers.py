"""Whether anybody is there to hand messages to: told before a campaign starts and when one is accepted. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.breaker import Health

_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Carrier:
    """An enabled gateway: whether its owner has to do something first, and whom it can send as."""

    name: str
    health: str
    empty: bool  # its credit is below the floor that its owner set
    sender_ids: frozenset[str]
    location_ids: frozenset[str] = frozenset()  # none: all

    @property
    def shut(self) -> bool:
        return self.health == Health.WITHDRAWN or self.empty


def may_carry(carriers: Sequence[Carrier], *, sender_id: str | None, location_id: str | None) -> bool:
    """Whether one of them takes such a message, now or when it has rested."""
    return any(
        not one.shut
        and (sender_id is None or sender_id in one.sender_ids)
        and (not one.location_ids or location_id in one.location_ids)
        for one in carriers
    )


def warnings(carriers: Sequence[Carrier], *, sender_id: str | None) -> Iterator[str]:
    """A sentence where nobody would take the messages as the gateways are now. Failing ones come back by themselves."""
    if not carriers:
        yield (
            "No gateway is enabled, so nothing would be handed over, and the campaign would be held: enable one with "
            "POST /v1/gateways/{id}/enable."
        )
        return
    able = [one for one in carriers if sender_id is None or sender_id in one.sender_ids]
    if not able:
        yield (
            f"No enabled gateway has the sender {sender_id!r}, so nothing would be handed over: enable the one that "
            "has it, or choose another sender."
        )
    elif all(one.shut for one in able):
        names = ", ".join(repr(one.name) for one in able[:_MOST_NAMED]) + ", ..." * (len(able) > _MOST_NAMED)
        yield (
            f"Every gateway that could take it is withdrawn or empty ({names}), so nothing would be handed over: mend "
            "what its health says, and enable it again or top it up."
        )
