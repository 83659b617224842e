"""A custom gateway's settings as its owner gives them: checked field by field, and filled once on trial."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from shared.adapter import ACCESS_TOKEN, Account, Sms
from shared.domain.fields import Fields, is_plain_url, refuse_if_wrong
from shared.errors import Invalid
from shared.gateways.custom.balances import PLACEHOLDERS as IN_BALANCE
from shared.gateways.custom.documents import why_no_xml
from shared.gateways.custom.logins import METHOD as LOGIN_METHOD
from shared.gateways.custom.logins import PLACEHOLDERS as IN_LOGIN
from shared.gateways.custom.mappings import check_callbacks, check_reading, path
from shared.gateways.custom.placeholders import BadTemplate, Context, Slot, Template, compile_template
from shared.gateways.custom.request import FORM, JSON, XML, beside, context_of
from shared.gateways.custom.values import NUMBER_FORMATS, PER_SECOND, value_of
from shared.headers import is_taken

IDS: Final = ("ID", "ID_NUMBER")
METHODS: Final = ("GET", "POST", "PUT")
# As Powerlynx and Splynx write it.
_FORM_TOO: Final = "x-www-form-urlencoded"
LONGEST_TEXT: Final = 16_384
MOST_HEADERS: Final = 20

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_LEFT_OUT: Final = frozenset({"connection", "content-length", "keep-alive"})  # the door says these by itself
_SECRET_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
# What a message may be at its worst: whatever breaks out of its place shows when the settings are saved.
_TRIAL: Final = Sms(
    UUID("0199d4c2-0000-7000-8000-000000000001"), 1, msisdn="+447700900123", text='%TO% "\\\n&=?#é€', sender_id="Ada"
)


def check_settings(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Mapping[str, Any]:
    if settings.get("content_type") == _FORM_TOO:
        settings = {**settings, "content_type": FORM}
    fields, hidden = Fields(settings, under="/settings"), Fields(secrets, under="/secrets")
    templates = [*_check_call(fields), *_check_balance(fields)]
    login = [*_check_login(fields)]
    _check_token_is_used(fields, hidden, templates)
    _check_deduplication(fields, templates)
    templates += login
    _check_values(fields)
    check_reading(fields)
    check_callbacks(fields)
    fields.refuse_others()
    _check_secrets(hidden, fields, templates)
    refuse_if_wrong(fields, hidden)
    return fields.kept


def _check_call(fields: Fields) -> Iterator[Template]:
    method = fields.choice("method", METHODS) or "GET"
    _check_content_type(fields, method)
    script = fields.text(
        "script", remedy=f"must be a Lua script of at most {LONGEST_TEXT} characters", longest=LONGEST_TEXT
    )
    fields.flag("verify_tls")
    if fields.flag("attachments") and script is None and not fields.errors:
        fields.refuse("attachments", "is for a script that sends sms.media; without one, write %MEDIA%.")
    templates = [
        *_url(fields),
        *_payload(fields, "payload", fields.kept.get("content_type") or FORM),
        *_headers(fields),
    ]
    yield from templates
    if script is None and not fields.errors:
        _check_message_is_in(fields, templates)


def _check_content_type(fields: Fields, method: str) -> str:
    """What the payload is, told again where it may not be."""
    content_type = fields.choice("content_type", (FORM, JSON, *XML)) or FORM
    if content_type != FORM and method == "GET":
        fields.refuse("content_type", f"cannot be {content_type} with GET, which has no body; set method to POST.")
    return content_type


def _url(fields: Fields) -> Iterator[Template]:
    remedy = "must be an address such as https://gateway.example/send, without user or #"
    url = fields.text("url", form=_PRINTABLE, remedy=remedy, required=True)
    if url is None:
        return
    origin, rest = _split(url)
    if not is_plain_url(origin) or "#" in rest or "%" in origin:
        fields.refuse("url", f"{remedy}, and no placeholder before its path.")
        return
    if fields.refuse_forbidden("url", origin):
        return
    yield from _compiled(fields, "url", url, Context.FORM)


def _split(url: str) -> tuple[str, str]:
    """Scheme and host, and what comes after them."""
    start = url.find("://") + 3
    ends = [at for at in (url.find(mark, start) for mark in "/?#") if at >= 0]
    cut = min(ends, default=len(url))
    return url[:cut], url[cut:]


_A_HEADER: Final = '[{"name": "Authorization", "value": "Bearer %SECRET:token%"}]'


def _payload(fields: Fields, name: str, content_type: str) -> Iterator[Template]:
    example = ', JSON too: "{\\"to\\": \\"%TO%\\", \\"text\\": \\"%MESSAGE%\\"}"' if content_type == JSON else ""
    remedy = f"must be a text of at most {LONGEST_TEXT} characters{example}"
    payload = fields.text(name, remedy=remedy, longest=LONGEST_TEXT)
    if payload is None:
        return
    for template in _compiled(fields, name, payload, context_of(content_type)):
        if content_type == JSON and not _is_json(template):
            fields.refuse(
                name,
                "is no JSON once it is filled; look at its quotes, commas and brackets, or set another content_type.",
            )
        if content_type in XML and (why := _no_xml(template)):
            fields.refuse(name, f"is no XML once it is filled ({why}); mend it, or set another content_type.")
        yield template


def _no_xml(template: Template) -> str | None:
    try:
        return why_no_xml(template.fill(_trial_value))
    except Invalid as refusal:
        return refusal.detail


def _is_json(template: Template) -> bool:
    try:
        json.loads(template.fill(_trial_value))
    except (ValueError, RecursionError, Invalid):
        return False
    return True


def _trial_value(slot: Slot) -> str:
    if slot.is_secret:
        return "s3cr3t"
    trial = Account(UUID(int=0), {}, {}, status_url="https://sms.example/callbacks/g/t/status")
    return value_of(trial, _TRIAL)(slot)


def _headers(fields: Fields) -> Iterator[Template]:
    for one in fields.parts("headers", most=MOST_HEADERS, such_as=_A_HEADER):
        remedy = "must be the name of a header, such as Authorization"
        name = one.text("name", form=_HEADER_NAME, remedy=remedy, required=True)
        if name is not None and (name.lower() in _LEFT_OUT or is_taken(name)):
            one.refuse("name", f"cannot be {name}, which is not for settings to say; leave it out.")
        value = one.text("value", remedy="must be the header's value", required=True)
        one.refuse_others()
        if value is not None:
            yield from _compiled(one, "value", value, Context.HEADER)


def _check_message_is_in(fields: Fields, templates: list[Template]) -> None:
    there = {slot.name for template in templates for slot in template.slots}
    missing = [f"%{name}%" for name in ("TO", "MESSAGE") if name not in there]
    if missing:
        fields.refuse("payload", f"lacks {' and '.join(missing)}, and so do url and headers; put it where it belongs.")


def _check_deduplication(fields: Fields, templates: list[Template]) -> None:
    """An id by which a gateway knows what it has: one that is sent, and that is the same every time."""
    rule = fields.part("deduplication")
    if rule is None:
        return
    by = rule.choice("by", IDS, required=True)
    for name, least, most in (("window", 60, 604_800), ("most", 1, 10)):
        if rule.whole(name, least=least, most=most) is None and not rule.wrong(name):
            rule.refuse(name, f"is missing; it must be a whole number from {least} to {most}.")
    rule.refuse_others()
    there = {slot.name for template in templates for slot in template.slots}
    if by is not None and by not in there and "script" not in fields.kept and not fields.errors:
        rule.refuse("by", f"is %{by}%, which is sent nowhere; put it where the gateway looks for it.")
    if "ATTEMPT" in there:
        rule.refuse("by", "must be the same every time, and %ATTEMPT% is sent along; leave that out.")


def _check_login(fields: Fields) -> Iterator[Template]:
    login = fields.part("login")
    if login is None:
        return
    method = login.choice("method", METHODS) or LOGIN_METHOD
    content_type = _check_content_type(login, method)
    templates = [
        *_url_beside(login, fields.kept.get("url") or ""),
        *_payload(login, "payload", content_type),
        *_headers(login),
    ]
    for name in ("token_path", "token_pattern", "lifetime_path"):
        path(login, name)
    login.whole("lifetime", least=60, most=86_400)
    login.refuse_others()
    for template in templates:
        for slot in template.slots:
            if slot.name not in IN_LOGIN:
                login.refuse("url", f"cannot be asked with {slot}: there is no message and no token; only secrets are.")
    yield from templates


def _check_token_is_used(fields: Fields, hidden: Fields, templates: list[Template]) -> None:
    """A login is for its token, and a token for those who log in."""
    used = any(slot.name == "TOKEN" for template in templates for slot in template.slots)
    if used and "login" not in fields.kept and not fields.wrong("login"):
        fields.refuse("login", "is missing; it must say how %TOKEN% is got.")
    if "login" not in fields.kept:
        return
    if not used and "script" not in fields.kept and not fields.errors:
        fields.refuse("login", "gets a token that is used nowhere; write %TOKEN% where it belongs, or leave it out.")
    if ACCESS_TOKEN in hidden.others():
        hidden.secret(ACCESS_TOKEN, remedy="")
        hidden.refuse(ACCESS_TOKEN, "is the name of what login gets; give the secret another name.")


def _check_balance(fields: Fields) -> Iterator[Template]:
    balance = fields.part("balance")
    if balance is None:
        return
    method = balance.choice("method", METHODS) or "GET"
    content_type = _check_content_type(balance, method)
    templates = [
        *_url_beside(balance, fields.kept.get("url") or ""),
        *_payload(balance, "payload", content_type),
        *_headers(balance),
    ]
    path(balance, "path")
    path(balance, "pattern")
    path(balance, "unit_path")
    balance.text("unit", form=re.compile(r"[A-Za-z]{1,20}"), remedy="must be a currency code such as EUR, or a word")
    balance.refuse_others()
    for template in templates:
        for slot in template.slots:
            if slot.name not in IN_BALANCE:
                balance.refuse(
                    "url", f"cannot be asked with {slot}: there is no message; only secrets, %TOKEN% and %FROM% are."
                )
    yield from templates


def _url_beside(part: Fields, url: str) -> Iterator[Template]:
    remedy = "must be an address, or a path such as /balance at the host of url"
    given = part.text("url", form=_PRINTABLE, remedy=remedy, required=True)
    if given is None:
        return
    origin, rest = _split(beside(url, given))
    if url and (not is_plain_url(origin) or "#" in rest or "%" in origin):
        part.refuse("url", f"{remedy}.")
        return
    if url and not given.startswith("/") and part.refuse_forbidden("url", origin):
        return
    yield from _compiled(part, "url", given, Context.FORM)


def _compiled(fields: Fields, name: str, text: str, context: Context) -> Iterator[Template]:
    try:
        yield compile_template(text, context)
    except BadTemplate as bad:
        fields.refuse(name, f"{bad}.")


def _check_values(fields: Fields) -> None:
    fields.choice("number_format", NUMBER_FORMATS)
    fields.text("sender_id", remedy="must be what %FROM% says where a message has no sender", longest=30)
    fields.text("location", remedy="must be what %LOCATION% says where a message has no location", longest=200)
    if encodings := fields.part("encodings"):
        for name in ("gsm7", "ucs2"):
            encodings.text(name, remedy="must be what %ENCODING% says for such a text", required=True, longest=40)
        encodings.refuse_others()
    if validity := fields.part("validity"):
        validity.choice("unit", tuple(PER_SECOND))
        validity.whole("default", least=1, most=31_536_000)
        validity.whole("most", least=1, most=31_536_000)
        validity.refuse_others()


def _check_secrets(hidden: Fields, fields: Fields, templates: list[Template]) -> None:
    """Every secret that is named must be given, and every one given be named; a script may name them by itself."""
    used = {word: slot for template in templates for slot in template.slots for word in slot.secrets}
    named: dict[str, str] = {word: f"as {slot}" for word, slot in used.items()}
    # Basic authentication is Base64 of UTF-8, and bodies and addresses have ways to write anything; a header has none.
    bare = {
        word: f"as {slot} in a header"
        for template in templates
        if template.context is Context.HEADER
        for slot in template.slots
        if slot.name != "BASIC"
        for word in slot.secrets
    }
    rule = fields.kept.get("callback_secret") or {}
    if "secret" in rule:
        bare[rule["secret"]] = "in callback_secret"
    for name, where in sorted((named | bare).items()):
        remedy = f"must be the secret that the settings name {where}"
        hidden.secret(name, remedy=remedy, required=True, words=True, beyond_ascii=name not in bare)
    if "script" in fields.kept:
        for name in sorted(hidden.others()):
            if _SECRET_NAME.fullmatch(name):
                hidden.secret(name, remedy="must be a secret for the script", words=True, beyond_ascii=True)
    for name in sorted(hidden.others()):
        hidden.refuse(name, f"is used nowhere; write %SECRET:{name}% where it belongs, or leave it out.")
