"""The first number in what a gateway says of its credit, as its writers mean it."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

# A blank (also one that breaks no line, or a narrow one) or an apostrophe stands between groups of three digits, and in
# one number one kind of them. What is in groups otherwise has points or commas, and may have an exponent.
_NUMBER: Final = re.compile(
    r"""(?:
      (?P<grouped>[1-9][0-9]{0,2}(?P<between>[\ \u00a0\u202f'\u2019])[0-9]{3}(?:(?P=between)[0-9]{3}){0,4}(?![0-9]))
      (?P<rest>(?:[.,][0-9]{1,12})?)
    | (?P<plain>[0-9]{1,18}(?:[.,][0-9]{1,12}){0,6}|(?<![0-9A-Za-z.])\.[0-9]{1,12})
      (?:[eE](?P<power>[+-]?[0-9]{1,2})(?![0-9A-Za-z]))?
    )""",
    re.VERBOSE,
)
_BLANK: Final = r"[ \u00a0\u202f]"
_MINUS: Final = r"[-\u2212]"
_CURRENCY: Final = r"(?:[A-Z]{0,3}[$€£¥₹₦₵₽₺₪₩₫฿]|(?!SMS)[A-Z]{3}|R(?:s\.?)?|[KTU][Ss]h\.?|kr\.?|zł|Kč|Fr\.)"
# A minus before a number and its currency. With a blank behind it, it is a dash where a word stands before it.
_MINUS_BEFORE: Final = re.compile(
    rf"(?:(?<![A-Za-z]){_CURRENCY}|(?P<word>(?:[^\W_]|[)\]])?))(?P<apart>{_BLANK}*)"
    rf"{_MINUS}(?P<gap>{_BLANK}{{0,2}})(?P<currency>(?:{_CURRENCY}{_BLANK}{{0,2}})?)\Z"
)
_MINUS_BEHIND: Final = re.compile(
    rf"{_MINUS}(?:{_BLANK}?{_CURRENCY})?(?![\w\u2212-])(?!{_BLANK}*[0-9])|{_BLANK}{_MINUS}{_BLANK}*$"
)
# Accountants write what is owed in brackets. Behind a word they hold an aside.
_OPENED: Final = re.compile(
    rf"(?:^|[^\w\s]|(?<![A-Za-z]){_CURRENCY}){_BLANK}*\({_BLANK}*(?:{_CURRENCY}{_BLANK}*)?$", re.MULTILINE
)
_CLOSED: Final = re.compile(rf"{_BLANK}*(?:{_CURRENCY}{_BLANK}*)?\)")
_LOOKED_AT: Final = 24  # characters around a number


def first_amount(text: str) -> Decimal | None:
    """The first number in a text; None if there is none. Digits within a name or a hexadecimal number are none."""
    found = next(_numbers(text), None)
    if found is None:
        return None
    if grouped := found["grouped"]:
        size = Decimal(grouped.replace(found["between"], "") + found["rest"].replace(",", "."))
    else:
        size = _decimal(found["plain"]).scaleb(int(found["power"] or 0))
    return -size if _is_owed(text, found) else size


def _numbers(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while (found := _NUMBER.search(text, at)) is not None:
        at = found.start() + max(1, len(found[0]) - len(found[0].lstrip("0123456789")))
        before, behind = text[: found.start()][-_LOOKED_AT:], text[found.end() :][:2]
        named = before.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        is_in_a_name = len(named) < len(before) and (behind[:1].isalpha() or named[-1:].isdigit() or named[-1:] == "_")
        is_hexadecimal = found[0] == "0" and re.fullmatch("[xX][0-9A-Fa-f]", behind) is not None
        if not (is_in_a_name or is_hexadecimal or before[-1:] == "_" or behind[:1] == "_"):
            yield found


def _is_owed(text: str, found: re.Match[str]) -> bool:
    before, behind = text[: found.start()][-_LOOKED_AT:], text[found.end() :][:_LOOKED_AT]
    if (minus := _MINUS_BEFORE.search(before)) is not None:
        if not minus["gap"] and not minus["currency"]:
            return True
        return not minus["word"] or bool(minus["apart"] and not minus["gap"])
    if _MINUS_BEHIND.match(behind) is not None:
        return True
    return _OPENED.search(before) is not None and _CLOSED.match(behind) is not None


def _decimal(text: str) -> Decimal:
    """12.5, 12,5 and 1,234.50 alike. One comma before three digits groups thousands, as in 1,234, but not in 0,500."""
    last = max(text.rfind("."), text.rfind(","))
    if last < 0:
        return Decimal(text)
    whole, mark, rest = text[:last], text[last], text[last + 1 :]
    plain = whole.replace(",", "").replace(".", "")
    groups = (mark == "," and len(rest) == 3 and bool(plain.strip("0"))) or whole.count(mark) > 0
    return Decimal(f"{plain}{rest}" if groups else f"{plain}.{rest}")
