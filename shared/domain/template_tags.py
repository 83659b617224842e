"""Which tags a text may hold, and under which keys their values are found when it is filled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.nearest import find_nearest

MAX_NAME_CHARACTERS: Final = 64
MAX_NAME_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Known:
    """The known tags. `paths` leads to the value; below an open root every name is known."""

    paths: Mapping[str, tuple[str, ...]]
    open_roots: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *names: str, open_roots: Iterable[str] = (), aliases: Mapping[str, str] | None = None) -> "Known":
        """Tags whose dots are nested mappings, and aliases: another name to the tag it means."""
        places = {name: name for name in names} | dict(aliases or {})
        paths = {tag: tuple(place.split(".")) for tag, place in places.items()}
        return cls(paths, frozenset(open_roots))

    def __or__(self, other: "Known") -> "Known":
        return Known({**self.paths, **other.paths}, self.open_roots | other.open_roots)

    @property
    def names(self) -> tuple[str, ...]:
        """The tags one by one, without their aliases; those of open roots cannot be listed."""
        return tuple(tag for tag, path in self.paths.items() if tag == ".".join(path))

    def path(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """The keys under which the value of a dotted name is found; None for an unknown name."""
        if len(parts) > 1 and parts[0] in self.open_roots:
            return parts
        return self.paths.get(".".join(parts))

    def nearest(self, name: str) -> str | None:
        """The known tag that was probably meant."""
        return find_nearest(name, self.paths)


_CONTACT_COLUMNS: Final = ("name", "msisdn", "external_id", "location_id", "time_zone")
CONTACT_TAGS: Final = Known.of(
    *_CONTACT_COLUMNS, open_roots=("fields",), aliases={f"contact.{column}": column for column in _CONTACT_COLUMNS}
)
CAMPAIGN_TAGS: Final = CONTACT_TAGS | Known.of("campaign.name")
VOUCHER_TAGS: Final = Known.of("voucher.code", "voucher.plan", "voucher.validity", "voucher.location")
# What a stored template may hold: where it is used decides which of them have a value there.
TEMPLATE_TAGS: Final = CAMPAIGN_TAGS | VOUCHER_TAGS | Known.of(open_roots=("variables",))
