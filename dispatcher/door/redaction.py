"""What may be kept of an exchange with a gateway: its shape and its words, without secrets, numbers or texts.

Gateways quote what they were sent. What is private of a call is taken out in every form it may come back in, and
then whatever could be a number. Of a test there is more to see (`redact_panes`): all but secrets and numbers.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from shared.adapter import Account, Answer, Call

# Header values that say something about the exchange and nothing about us.
_PLAIN_HEADERS: Final = frozenset({"content-type", "content-length", "retry-after", "date", "server", "location-class"})
_REQUEST_ID: Final = "request-id"  # x-request-id, and the vendors' own: what their support asks for
_FORM: Final = "application/x-www-form-urlencoded"
# What has digits and is no number: the host and port of an address, where the host is four small numbers; a UUID, a
# date with its time, an escape of a URL or of JSON; a word, such as an id, where it has no long run of them. Then what
# could be a number.
_LONG_DIGITS: Final = re.compile(
    r"""(?P<kept>
      https?(?::|%3[Aa])(?:\\?/|%2[Ff]){2}
      (?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:(?::|%3[Aa])\d{1,5})?(?![\w.@:-]|%40|%3[Aa])
    | (?:(?<![0-9A-Za-z])|(?<=%[0-9A-Fa-f]{2}))[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Za-z])
    | (?:(?<!\d)|(?<=%[0-9A-Fa-f]{2}))(?:19|20)\d\d-[01]\d-[0-3]\d(?!\d)
      (?:(?:T|\+|\ |%20)[0-2]\d(?::|%3[Aa])[0-5]\d(?:(?::|%3[Aa])[0-5]\d)?(?:\.\d{1,9})?(?!\d))?
    | %[0-9A-Fa-f]{2} | \\u[0-9A-Fa-f]{4} | \\.
    )
    | (?P<word>[A-Za-z_]\w*)
    | \+?\d(?:[\d\ ().-]|%2[089Dd]){5,}\d
    """,
    re.VERBOSE,
)
_DIGITS_IN_A_WORD: Final = re.compile(r"\d{7,}")
# Headers whose values are credentials, or prove that we have some.
_TELLING: Final = re.compile(r"auth|token|key|secret|cookie|sign|passw|credential|session", re.IGNORECASE)
_HOST: Final = re.compile(r"https?://[^/]*")
# A word with a digit in it, in one piece or with hyphens.
_CODE: Final = re.compile(r"(?=[^\s\d]*\d)[\w-]{4,}")
_CAP: Final = 1_000
_PANE: Final = 8_000
HIDDEN: Final = "[hidden]"
# Shorter ones are in every other word, and say nothing.
_SHORTEST: Final = 4


def secrets_of(account: Account) -> tuple[str, ...]:
    """What nobody may read of an account: its secrets, and the token in the addresses of its callbacks."""
    tokens = (url.rstrip("/").split("/")[-2] for url in (account.status_url, account.inbound_url) if "/" in url)
    return (*account.secrets.values(), *dict.fromkeys(tokens))


def redact_exchange(
    call: Call, answer: Answer | None, *, private: Sequence[str] = (), secrets: Sequence[str] = ()
) -> dict[str, Any]:
    """The request's line and field names, and the answer without what is private and without long numbers."""
    hidden = _pattern(private, secrets)
    exchange: dict[str, Any] = {
        "request": {
            "method": call.method,
            "url": _clean_url(_place_of(call.url), hidden),
            "headers": {name: _header(name, value) for name, value in call.headers},
            "fields": sorted({_clean(name, hidden) for name in _field_names(call)}),
        }
    }
    if answer is not None:
        exchange["answer"] = {
            "status": answer.status,
            "headers": {name: _clean(value, hidden) for name, value in answer.headers.items() if _is_plain(name)},
            # Cleaned before it is cut: half a number or half a text would not be known again.
            "body": _clean(_text_of(answer.body), hidden),
        }
    return exchange


def redact_panes(
    call: Call, answer: Answer | None, *, private: Sequence[str] = (), secrets: Sequence[str] = ()
) -> dict[str, Any]:
    """The request and the answer as who set the gateway up wants to see them: line, headers and body of both."""
    hidden = _pattern(private, secrets)
    query = call.url.partition("#")[0].partition("?")[2]
    url = _place_of(call.url) + f"?{query}" * bool(query)
    panes: dict[str, Any] = {
        "request": {
            "method": call.method,
            "url": _clean_url(url, hidden, most=_PANE),
            "headers": {name: _pane_header(name, value, hidden) for name, value in call.headers},
            "body": _clean(_text_of(call.body), hidden, most=_PANE),
        }
    }
    if answer is not None:
        panes["answer"] = {
            "status": answer.status,
            "headers": {name: _pane_header(name, value, hidden) for name, value in answer.headers.items()},
            "body": _clean(_text_of(answer.body), hidden, most=_PANE),
        }
    return panes


def hide(words: str, secrets: Sequence[str]) -> str:
    """A gateway's words without secrets, and without the beginning of one: they were cut to their length already."""
    forms, hidden = _known(tuple(secrets))
    if hidden is None:
        return words
    words = hidden.sub(HIDDEN, words)
    for form in forms:
        for length in range(len(form) - 1, _SHORTEST, -1):
            if words.endswith(form[:length]):
                return words[:-length] + HIDDEN
    return words


def codes_in(text: str) -> list[str]:
    """Words of a text that could be a code, a voucher's or another: gateways quote texts in pieces, too."""
    return _CODE.findall(text)


def mask(text: str) -> str:
    """The text with anything that could be a number made unreadable."""
    return _LONG_DIGITS.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    if word := found["word"]:
        return _DIGITS_IN_A_WORD.sub(_counted, word)
    return found["kept"] or _counted(found)


def _counted(found: re.Match[str]) -> str:
    return f"[{len(found.group())} digits]"


def _clean(text: str, hidden: re.Pattern[str] | None, *, most: int = _CAP) -> str:
    return mask(hidden.sub(HIDDEN, text) if hidden else text)[:most]


def _clean_url(url: str, hidden: re.Pattern[str] | None, *, most: int = _CAP) -> str:
    """The host stands in the settings; an address in numbers is nobody's number."""
    found = _HOST.match(url)
    if found is None:
        return _clean(url, hidden, most=most)
    host = found.group()
    return ((hidden.sub(HIDDEN, host) if hidden else host) + _clean(url[len(host) :], hidden, most=most))[:most]


def _text_of(body: bytes) -> str:
    return body.decode("utf-8", "replace").replace("\x00", "")


def _pane_header(name: str, value: str, hidden: re.Pattern[str] | None) -> str:
    return HIDDEN if _TELLING.search(name) else _clean(value.replace("\x00", ""), hidden)


_ESCAPE: Final = re.compile("%[0-9A-F]{2}")
_UNICODE_ESCAPE: Final = re.compile(r"\\u([0-9a-f]{4})")


@lru_cache(maxsize=256)
def _known(secrets: tuple[str, ...]) -> tuple[Sequence[str], re.Pattern[str] | None]:
    """The forms of an account's secrets: they are the same for every refusal."""
    return _all_forms((), secrets), _pattern((), secrets)


def _pattern(private: Sequence[str], secrets: Sequence[str]) -> re.Pattern[str] | None:
    forms = _all_forms(private, secrets)
    return re.compile("|".join(re.escape(form) for form in forms)) if forms else None


def _all_forms(private: Sequence[str], secrets: Sequence[str]) -> Sequence[str]:
    """All private words as they are, and as JSON, HTML and URLs write them; the longest first."""
    forms = {form for words in (*private, *secrets) if len(words) >= _SHORTEST for form in _forms(words)}
    return sorted(forms | _forms_in_base64(tuple(secrets)), key=len, reverse=True)


@lru_cache(maxsize=256)
def _forms_in_base64(secrets: tuple[str, ...]) -> frozenset[str]:
    """What stands in `Authorization: Basic`, which some gateways quote: a secret at each place in a group of three."""
    forms: set[str] = set()
    for secret in secrets:
        words = secret.encode("utf-8", "replace")
        for before, unknown in ((0, 0), (1, 2), (2, 3)):
            known = (before + len(words)) * 8 // 6
            form = b64encode(bytes(before) + words).decode()[unknown:known]
            if len(form) >= _SHORTEST + 2:
                forms |= {form, form.replace("+", "-").replace("/", "_"), form.replace("/", "\\/")}
    return frozenset(forms)


def _forms(words: str) -> Iterator[str]:
    yield words
    yield words.removeprefix("+")
    for ascii_only in (True, False):
        written = json.dumps(words, ensure_ascii=ascii_only)[1:-1]
        yield written
        yield written.replace("/", "\\/")
    yield escape(words, quote=True)
    yield escape(words, quote=False)
    as_bytes = words.encode("utf-8", "replace")
    for quoted in (quote(as_bytes, safe=""), quote(as_bytes), quote_plus(as_bytes)):
        yield quoted
        yield _ESCAPE.sub(lambda found: found[0].lower(), quoted)
    if not words.isascii():
        yield _UNICODE_ESCAPE.sub(lambda found: f"\\u{found[1].upper()}", json.dumps(words)[1:-1])
        # Read in another alphabet than it was written in, by them or by us.
        yield as_bytes.decode("latin-1")
        yield words.encode("latin-1", "replace").decode("utf-8", "replace")


def _header(name: str, value: str) -> str:
    return mask(value) if _is_plain(name) else HIDDEN


def _is_plain(name: str) -> bool:
    return name.lower() in _PLAIN_HEADERS or name.lower().endswith(_REQUEST_ID)


def _place_of(url: str) -> str:
    """Where the call went, without user and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "[unreadable]"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _field_names(call: Call) -> Iterator[str]:
    is_form = any(name.lower() == "content-type" and value.startswith(_FORM) for name, value in call.headers)
    query = call.url.partition("?")[2].partition("#")[0]
    for fields in (query, call.body.decode("utf-8", "replace") if is_form else ""):
        yield from (name for name, _ in parse_qsl(fields, keep_blank_values=True))
