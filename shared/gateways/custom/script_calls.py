"""The call that a script asked for: checked field by field, with the secrets filled in last."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import Any, Final
from urllib.parse import quote, urlsplit

from shared.adapter import Account, Call, Sms, UnfitScript
from shared.gateways.custom.documents import why_no_xml
from shared.gateways.custom.marks import filled
from shared.gateways.custom.placeholders import CannotFill, as_literal, as_xml
from shared.gateways.custom.request import (
    FORM,
    JSON,
    XML,
    Outline,
    assembled,
    outline_of,
    with_content_type,
    with_query,
)
from shared.gateways.custom.signatures import is_signature, signature
from shared.gateways.custom.values import value_of
from shared.headers import is_taken

MOST_BYTES: Final = 65_536
_DEEPEST: Final = 12
_MAY_SAY: Final = ("url", "method", "query", "headers", "body", "json", "form")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_URL = re.compile(r"[\x21-\x7e]{1,4096}")


def call_from_script(account: Account, sms: Sms, told: object) -> Call:
    """The call that the script asks for; UnfitScript says what of it cannot be done."""
    try:
        outline = outline_of(account.settings)
        headers = [(name, template.fill(value_of(account, sms))) for name, template in outline.headers]
        url = outline.url.fill(value_of(account, sms))
        if isinstance(told, str):
            return assembled(outline, url, headers, _payload(account, told, outline.content_type))
        if isinstance(told, Mapping):
            return _call(account, outline, _Said(told), url=url, headers=headers)
    except CannotFill as refusal:
        raise UnfitScript(refusal.detail) from None
    raise UnfitScript(f"The script must return a text or a table, not {_kind_of(told)}.")


class _Said:
    """The table a script returned, read field by field."""

    def __init__(self, told: Mapping[Any, Any]) -> None:
        for name in told:
            if name not in _MAY_SAY:
                raise UnfitScript(f"The script's table has {_shown(name)}; it may have: {', '.join(_MAY_SAY)}.")
        self._told = told
        bodies = [name for name in ("body", "json", "form") if name in told]
        if len(bodies) > 1:
            raise UnfitScript(f"The script's table has {' and '.join(bodies)}; it may have one of them.")

    def text(self, name: str) -> str | None:
        value = self._told.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise UnfitScript(f"The script's {name} must be a text, not {_kind_of(value)}.")
        return value

    def table(self, name: str) -> Mapping[Any, Any] | None:
        value = self._told.get(name)
        if value is None or value == []:  # an empty table is a list or an object alike
            return None
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise UnfitScript(f"The script's {name} must be a table with names, not {_kind_of(value)}.")
        return value

    def pairs(self, account: Account, name: str, *, body: bytes | None) -> Iterator[tuple[str, str]]:
        """Names and values, marks filled and signatures made; a list gives its name several times."""
        for key, value in (self.table(name) or {}).items():
            for one in value if isinstance(value, list | tuple) else (value,):
                if is_signature(one):
                    yield key, signature(account, one, body=body)
                else:
                    yield key, filled(account, _scalar(name, key, one))

    @property
    def has_json(self) -> bool:
        return "json" in self._told

    @property
    def document(self) -> Any:
        return self._told["json"]


def _call(account: Account, outline: Outline, said: _Said, *, url: str, headers: Sequence[tuple[str, str]]) -> Call:
    content_type, body = _body(account, said, outline.content_type)
    sent = body or b""
    url = _checked_url(account, said.text("url"), url)
    url = with_query(url, _form(said.pairs(account, "query", body=sent)))
    method = said.text("method") or ("POST" if body is not None and outline.method == "GET" else outline.method)
    if method not in {"GET", "POST", "PUT"}:
        raise UnfitScript(f"The script's method must be GET, POST or PUT, not {_shown(method)}.")
    if method == "GET" and body is not None:
        raise UnfitScript("The script's method is GET, which has no body; use query.")
    named = _with(headers, [(name, _header(name, value)) for name, value in said.pairs(account, "headers", body=sent)])
    typed = tuple(named) if method == "GET" else with_content_type(named, content_type)
    return Call(method, url, typed, sent, verify_tls=outline.verify_tls)


def _body(account: Account, said: _Said, content_type: str) -> tuple[str, bytes | None]:
    if said.has_json:
        text = json.dumps(_plain(account, said.document, depth=0))
        return JSON, _sized(text)
    if (table := said.table("form")) is not None:
        del table
        return FORM, _sized(_form(said.pairs(account, "form", body=None)))
    text_body = said.text("body")
    return content_type, None if text_body is None else _sized(_payload(account, text_body, content_type))


def _payload(account: Account, text: str, content_type: str) -> str:
    """A payload that the script wrote by itself; only the marks in it are ours to fill."""
    if content_type == JSON:
        text = filled(account, text, lambda secret: json.dumps(secret)[1:-1])
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            raise UnfitScript(
                f"The script's text is no JSON, which content_type says it is; use {FORM} or mend it."
            ) from None
    elif content_type in XML:
        text = filled(account, text, as_xml)
        if why := why_no_xml(text):
            raise UnfitScript(f"The script's text is no XML, which content_type says it is: {why}.")
    else:
        text = as_literal(filled(account, text, partial(quote, safe="")))
    _sized(text)
    return text


def _checked_url(account: Account, given: str | None, url: str) -> str:
    """The script may go elsewhere at its gateway, and to no other host: it would take the secrets there."""
    if given is None:
        return url
    given = filled(account, given, partial(quote, safe=""))
    ours = urlsplit(account.settings["url"])
    try:
        theirs = urlsplit(given)
        same = (ours.scheme, ours.netloc.lower()) == (theirs.scheme, theirs.netloc.lower())
    except ValueError:
        same = False
    if not same or not _URL.fullmatch(given) or "#" in given:
        raise UnfitScript(f"The script's url must begin with {ours.scheme}://{ours.netloc}, as the setting does.")
    return given


def _plain(account: Account, value: Any, *, depth: int) -> Any:
    """The document with its marks filled; nothing in it but texts, numbers, booleans, lists and objects."""
    if depth > _DEEPEST:
        raise UnfitScript(f"The script's json is nested deeper than {_DEEPEST} levels.")
    if isinstance(value, str):
        return filled(account, value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and isfinite(value):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, list | tuple):
        return [_plain(account, one, depth=depth + 1) for one in value]
    if is_signature(value):
        return signature(account, value, body=None)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(account, one, depth=depth + 1) for key, one in value.items()}
    raise UnfitScript(f"The script's json holds {_kind_of(value)}, which JSON has not.")


def _with(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The script's headers in the place of those of the same name."""
    replaced = {name.lower() for name, _ in new}
    return [*((name, value) for name, value in old if name.lower() not in replaced), *new]


def _header(name: str, value: str) -> str:
    if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
        raise UnfitScript(f"The script's header {_shown(name)} must be one line of printable ASCII.")
    # What else speaks of the connection is left out when the call is made, so that a script may say it.
    if is_taken(name):
        raise UnfitScript(f"The script's header {_shown(name)} is written by Lapwing itself; take it out of headers.")
    return value


def _scalar(where: str, key: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    if isinstance(value, float):
        return str(value)
    raise UnfitScript(f"The script's {where} has {_kind_of(value)} at {_shown(key)}; it must be a text or a number.")


def _form(pairs: Iterator[tuple[str, str]]) -> str:
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="")


def _sized(text: str) -> bytes:
    body = text.encode("utf-8", "replace")
    if len(body) > MOST_BYTES:
        raise UnfitScript(f"The script's body has {len(body)} bytes; it may have {MOST_BYTES}.")
    return body


def _kind_of(value: object) -> str:
    names = {"NoneType": "nothing", "str": "a text", "bool": "true or false", "int": "a number", "float": "a number"}
    name = type(value).__name__
    return names.get(
        name,
        "a list" if isinstance(value, list | tuple) else "a table" if isinstance(value, Mapping) else "something else",
    )


def _shown(name: object) -> str:
    return repr(name)[:60] if isinstance(name, str) else _kind_of(name)
