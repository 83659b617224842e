"""Checks of one value each, for dials and for what the control routes are sent."""

from collections.abc import Callable
from urllib.parse import urlsplit

Check = Callable[[str, object], object]


class BadDial(ValueError):
    """A dial that does not exist or cannot take this value."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.reason = reason


def flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadDial(name, "must be true or false")
    return value


def text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadDial(name, "must be a text")
    return value


def choice(*options: str) -> Check:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in options:
            raise BadDial(name, f"must be one of {', '.join(options)}")
        return value

    return check


def between(least: float, most: float) -> Check:
    def check(name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadDial(name, f"must be a number from {least:g} to {most:g}")
        if not least <= value <= most:
            raise BadDial(name, f"must lie between {least:g} and {most:g}")
        return float(value)

    return check


def whole(least: int, most: int = 1_000_000_000) -> Check:
    def check(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BadDial(name, f"must be a whole number from {least} to {most}")
        return value

    return check


probability = between(0, 1)


def span(most: float) -> Check:
    """One number, or [least, most]."""
    number = between(0, most)

    def check(name: str, value: object) -> tuple[float, float]:
        ends = value if isinstance(value, list) else [value, value]
        if len(ends) != 2:
            raise BadDial(name, "must be one number or [least, most]")
        low, high = number(name, ends[0]), number(name, ends[1])
        assert isinstance(low, float)
        assert isinstance(high, float)
        if low > high:
            raise BadDial(name, "must have the smaller number first")
        return low, high

    return check


def url(name: str, value: object) -> str:
    found = text(name, value)
    try:
        parts = urlsplit(found)
        readable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        readable = False
    if found and not (readable and found.isascii() and found.isprintable() and " " not in found):
        raise BadDial(name, "must be an absolute http or https URL")
    return found


def header_line(name: str, value: object) -> str:
    """`Name: value`, or nothing."""
    found = text(name, value)
    if found and not (": " in found and found.isascii() and found.isprintable()):
        raise BadDial(name, 'must be one line such as "X-Mark: secret"')
    return found


def decimal_text(name: str, value: object) -> str:
    """A number written as text, as gateways write balances."""
    found = text(name, value)
    try:
        float(found)
    except ValueError:
        raise BadDial(name, 'must be a number as text, such as "12.50"') from None
    return found
