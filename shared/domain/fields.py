"""Owners' settings, checked field by field: refusals bear their pointers and come all at once.

What is refused is never quoted: the value may be a secret.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from shared.addresses import UnreadableHost, is_never, literal_of
from shared.domain.nearest import find_nearest
from shared.errors import FieldError, Invalid

_LONGEST: Final = 4096
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_ANY_WORDS = re.compile(r"\S(?:.*\S)?")  # and printable, which leaves out line ends and what nobody sees
_WORDS = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class Fields:
    """One JSON object of settings or secrets; `kept` collects what passes, `errors` what does not.

    null and the empty string count as not given.
    """

    def __init__(self, given: Mapping[str, Any], *, under: str, shown: str = "") -> None:
        self.kept: dict[str, Any] = {}
        self.errors: list[FieldError] = []
        self._given = {name: value for name, value in given.items() if value is not None and value != ""}
        self._under = under
        self._shown = shown  # what a sentence puts before a name
        self._asked: set[str] = set()

    def refuse(self, name: str, why: str) -> None:
        self.kept.pop(name, None)
        self.errors.append(FieldError(f"{self._under}/{name}", f"{self._shown}{name} {why}"))

    def text(
        self,
        name: str,
        *,
        form: re.Pattern[str] | None = None,
        remedy: str,
        required: bool = False,
        longest: int = _LONGEST,
    ) -> str | None:
        """A text of this form without outer white space. `remedy` says what it "must be"."""
        value = self._take(name)
        if value is None:
            if required:
                self.refuse(name, f"is missing; it {remedy}.")
            return None
        text = value.strip() if isinstance(value, str) else ""
        if not text or len(text) > longest or (form is not None and not form.fullmatch(text)):
            self.refuse(name, f"{remedy}.")
            return None
        self.kept[name] = text
        return text

    def phrase(self, name: str, *, remedy: str, required: bool = False, longest: int) -> str | None:
        """A text to be looked for, or said, as it is: blanks around it are part of it; a stray line end is not."""
        value = self._take(name)
        if value is None:
            if required:
                self.refuse(name, f"is missing; it {remedy}.")
            return None
        text = value.strip("\r\n") if isinstance(value, str) else ""
        if not text.strip() or len(text) > longest:
            self.refuse(name, f"{remedy}.")
            return None
        self.kept[name] = text
        return text

    def choice(self, name: str, options: Collection[str], *, required: bool = False) -> str | None:
        """One of these words."""
        value = self._take(name)
        if value is None and not required:
            return None
        if not isinstance(value, str) or value not in options:
            self.refuse(name, f"must be one of: {', '.join(options)}.")
            return None
        self.kept[name] = value
        return value

    def part(self, name: str) -> "Fields | None":
        """The object of that name, to be checked field by field; what it keeps is kept here, its errors are ours."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            self.refuse(name, "must be an object.")
            return None
        inner = self._inner(value, name, name)
        self.kept[name] = inner.kept
        return inner

    def parts(self, name: str, *, most: int, such_as: str) -> list["Fields"]:
        """The objects in the list of that name, as `part` gives one. `such_as` shows a list of one."""
        value = self._take(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most or not all(isinstance(one, Mapping) for one in value):
            self.refuse(name, f"must be a list of at most {most} objects, such as {such_as}.")
            return []
        inner = [self._inner(one, f"{name}/{at}", f"{name}[{at}]") for at, one in enumerate(value)]
        self.kept[name] = [one.kept for one in inner]
        return inner

    def scalars(self, name: str, *, most: int) -> list[Any] | None:
        """A list of texts, numbers, true, false or null."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, list) or not 0 < len(value) <= most or not all(_is_scalar(one) for one in value):
            self.refuse(name, f"must be a list of 1 to {most} texts or numbers.")
            return None
        self.kept[name] = value
        return value

    def mapping(self, name: str, *, most: int) -> Mapping[str, Any] | None:
        """An object whose names are the owner's."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or not 0 < len(value) <= most:
            self.refuse(name, f"must be an object of 1 to {most} entries.")
            return None
        self.kept[name] = dict(value)
        return value

    def _inner(self, given: Mapping[str, Any], place: str, shown: str) -> "Fields":
        inner = Fields(given, under=f"{self._under}/{place}", shown=f"{self._shown}{shown}.")
        inner.errors = self.errors
        return inner

    def secret(
        self, name: str, *, remedy: str, required: bool = False, words: bool = False, beyond_ascii: bool = False
    ) -> str | None:
        """A secret: printable ASCII without spaces, since a stray line end makes it a wrong one.

        With `words` there may be spaces within it, as there are in passwords that people choose; with `beyond_ascii`
        letters of any language, where what it is sent in can hold them.
        """
        value = self._take(name)
        if value is None:
            if required:
                self.refuse(name, f"is missing; it {remedy}.")
            return None
        form = _ANY_WORDS if beyond_ascii else _WORDS if words else _PRINTABLE
        text = value if isinstance(value, str) and (value.isprintable() or not beyond_ascii) else ""
        if len(text) > _LONGEST or not form.fullmatch(text):
            where = "around it" if words else "in it"
            alphabet = "" if beyond_ascii else " in ASCII and"
            self.refuse(name, f"{remedy},{alphabet} without line ends, or spaces {where}.")
            return None
        self.kept[name] = text
        return text

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
        if not is_plain_url(value):
            self.refuse(name, f"{remedy}.")
            return None
        self.kept[name] = value.rstrip("/")
        return None if self.refuse_forbidden(name, value) else value.rstrip("/")

    def refuse_forbidden(self, name: str, url: str) -> bool:
        """Whether this is an address that nothing ever connects to: better said now than at every hand-over."""
        try:
            address = literal_of(urlsplit(url).hostname or "")
        except UnreadableHost:
            self.refuse(name, "names no host that can be read; give a name, or an address in its usual form.")
            return True
        if address is None or not is_never(address):
            return False
        self.refuse(name, f"leads to {address}, which is never connected to; give the gateway's own address.")
        return True

    def wrong(self, *names: str) -> bool:
        """Whether one of these was refused before."""
        pointers = {f"{self._under}/{name}" for name in names}
        return any(error.pointer in pointers for error in self.errors)

    def others(self) -> set[str]:
        """The names given that nobody asked for yet."""
        return self._given.keys() - self._asked

    def refuse_others(self) -> None:
        """A name nobody asked for is a mistake, not something to pass over in silence."""
        known = ", ".join(sorted(self._asked)) or "none"
        for name in sorted(self.others()):
            near = find_nearest(name, self._asked)
            meant = f" (did you mean {near}?)" if near else ""
            self.refuse(name, f"is unknown{meant}; those known here are: {known}.")

    def _take(self, name: str) -> Any:
        self._asked.add(name)
        return self._given.get(name)


def refuse_if_wrong(*groups: Fields) -> None:
    """Raise for everything that was refused in these."""
    errors = [error for fields in groups for error in fields.errors]
    if errors:
        raise Invalid(" ".join(error.detail for error in errors[:3]), errors=errors)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _LONGEST)


def is_plain_url(value: str) -> bool:
    """Whether this is an absolute address without user, query or fragment."""
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
