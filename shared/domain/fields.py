"""Owners' settings, checked field by field: refusals bear their pointers and come all at once.

What is refused is never quoted: the value may be a secret.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from shared.errors import FieldError, Invalid

_LONGEST: Final = 4096
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class Fields:
    """One JSON object of settings or secrets; `kept` collects what passes, `errors` what does not.

    null and the empty string count as not given.
    """

    def __init__(self, given: Mapping[str, Any], *, under: str) -> None:
        self.kept: dict[str, Any] = {}
        self.errors: list[FieldError] = []
        self._given = {name: value for name, value in given.items() if value not in (None, "")}
        self._under = under
        self._asked: set[str] = set()

    def refuse(self, name: str, why: str) -> None:
        self.kept.pop(name, None)
        self.errors.append(FieldError(f"{self._under}/{name}", f"{name} {why}"))

    def text(
        self, name: str, *, form: re.Pattern[str] | None = None, remedy: str, required: bool = False
    ) -> str | None:
        """A text of this form without outer white space. `remedy` says what it "must be"."""
        value = self._take(name)
        if value is None:
            if required:
                self.refuse(name, f"is missing; it {remedy}.")
            return None
        text = value.strip() if isinstance(value, str) else ""
        if not text or len(text) > _LONGEST or (form is not None and not form.fullmatch(text)):
            self.refuse(name, f"{remedy}.")
            return None
        self.kept[name] = text
        return text

    def secret(self, name: str, *, remedy: str, required: bool = False) -> str | None:
        """A secret: printable ASCII without spaces, since a stray line end makes it a wrong one."""
        value = self._take(name)
        if value is None:
            if required:
                self.refuse(name, f"is missing; it {remedy}.")
            return None
        if not isinstance(value, str) or len(value) > _LONGEST or not _PRINTABLE.fullmatch(value):
            self.refuse(name, f"{remedy}, without spaces or line ends.")
            return None
        self.kept[name] = value
        return value

    def flag(self, name: str) -> bool | None:
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, bool):
            self.refuse(name, "must be true or false.")
            return None
        self.kept[name] = value
        return value

    def whole(self, name: str, *, least: int, most: int) -> int | None:
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.refuse(name, f"must be a whole number from {least} to {most}.")
            return None
        self.kept[name] = value
        return value

    def url(self, name: str, *, required: bool = False) -> str | None:
        """An absolute address to which paths can be added, without its last slash."""
        remedy = "must be an address such as https://gateway.example, without user, query or #"
        value = self.text(name, form=_PRINTABLE, remedy=remedy, required=required)
        if value is None:
            return None
        if not _is_plain_url(value):
            self.refuse(name, f"{remedy}.")
            return None
        self.kept[name] = value.rstrip("/")
        return value.rstrip("/")

    def refuse_others(self) -> None:
        """A name nobody asked for is a mistake, not something to pass over in silence."""
        known = ", ".join(sorted(self._asked)) or "none"
        for name in sorted(self._given.keys() - self._asked):
            self.refuse(name, f"is unknown; those known here are: {known}.")

    def _take(self, name: str) -> Any:
        self._asked.add(name)
        return self._given.get(name)


def refuse_if_wrong(*groups: Fields) -> None:
    """Raise for everything that was refused in these."""
    errors = [error for fields in groups for error in fields.errors]
    if errors:
        raise Invalid(" ".join(error.detail for error in errors[:3]), errors=errors)


def _is_plain_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and port != 0
        and "@" not in parts.netloc
        and "\\" not in value
        and "?" not in value
        and "#" not in value
    )
