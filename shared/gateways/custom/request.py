"""The call that hands a message over, as the settings describe it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from shared.adapter import Account, Call, Sms
from shared.gateways.custom.placeholders import Context, Slot, Template, compile_template
from shared.gateways.custom.values import value_of

JSON: Final = "application/json"
XML: Final = ("application/xml", "text/xml")
FORM: Final = "application/x-www-form-urlencoded"

Headers = tuple[tuple[str, Template], ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """A call with its places open."""

    method: str
    url: Template
    payload: Template | None
    content_type: str
    headers: Headers
    verify_tls: bool

    @property
    def has_body(self) -> bool:
        return self.method != "GET"


def outline_of(settings: Mapping[str, Any]) -> Outline:
    content_type = settings.get("content_type") or FORM
    payload = settings.get("payload")
    return Outline(
        method=settings.get("method") or "GET",
        url=url_template(settings["url"]),
        payload=compile_template(payload, context_of(content_type)) if payload else None,
        content_type=content_type,
        headers=header_templates(settings.get("headers") or ()),
        verify_tls=settings.get("verify_tls", True),
    )


def context_of(content_type: str) -> Context:
    if content_type in XML:
        return Context.XML
    return Context.JSON if content_type == JSON else Context.FORM


def url_template(url: str) -> Template:
    return compile_template(url, Context.FORM)


def header_templates(headers: Iterable[Mapping[str, str]]) -> Headers:
    return tuple((one["name"], compile_template(one["value"], Context.HEADER)) for one in headers)


def build_send(outline: Outline, account: Account, sms: Sms) -> Call:
    """Everything is filled in one pass, the secrets with the rest: what was filled in is not read again."""
    value = value_of(account, sms)
    payload = outline.payload.fill(value) if outline.payload else ""
    headers = [(name, template.fill(value)) for name, template in outline.headers]
    return assembled(outline, outline.url.fill(value), headers, payload)


def beside(url: str, given: str) -> str:
    """An address at the same host, where only a path is given."""
    if not given.startswith("/"):
        return given
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{given}"


def asked(
    settings: Mapping[str, Any],
    rule: Mapping[str, Any],
    *,
    headers: Iterable[Mapping[str, str]],
    value: Callable[[Slot], str],
) -> Call:
    """A call that asks the gateway for something, by a part of the settings: there is no message."""
    outline = outline_of({**rule, "url": beside(settings["url"], rule["url"]), "headers": headers})
    outline = replace(outline, verify_tls=settings.get("verify_tls", True))
    return assembled(
        outline,
        outline.url.fill(value),
        [(name, template.fill(value)) for name, template in outline.headers],
        outline.payload.fill(value) if outline.payload else "",
    )


def assembled(outline: Outline, url: str, headers: Iterable[tuple[str, str]], payload: str) -> Call:
    """The payload goes into the body, or into the query of a GET."""
    if not outline.has_body:
        return Call("GET", with_query(url, payload), tuple(headers), verify_tls=outline.verify_tls)
    return Call(
        outline.method,
        url,
        with_content_type(headers, outline.content_type),
        payload.encode("utf-8", "replace"),
        verify_tls=outline.verify_tls,
    )


def with_query(url: str, query: str) -> str:
    query = query.lstrip("?&")
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def with_content_type(headers: Iterable[tuple[str, str]], content_type: str) -> tuple[tuple[str, str], ...]:
    """The owner's own Content-Type wins: some gateways want a charset in it."""
    given = tuple(headers)
    if any(name.lower() == "content-type" for name, _ in given):
        return given
    # Of XML that names no charset, some readers take ASCII for granted, whatever its first line says.
    named = f"{content_type}; charset=utf-8" if content_type in XML else content_type
    return (*given, ("Content-Type", named))
