"""The words around a code. Until the very last moment its place is open: `{{ code }}` stands where it will be.

A web domain adds the last line that browsers bind to an origin (`@example.com #123456`), with nothing after it:
https://wicg.github.io/sms-one-time-codes/
"""

import re
from typing import Final

from shared.domain.segments import Measured, measure
from shared.domain.template_tags import Known
from shared.errors import Invalid

CODE: Final = "{{ code }}"
TAGS: Final = Known.of("code", "minutes")
USUAL_TEXT: Final = "Your code is {{ code }}. It is valid for {{ minutes }} minutes."
LONGEST_TEXT: Final = 480
MAX_SEGMENTS: Final = 3

_TAG: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_BRACES: Final = re.compile(r"\{[{%#]|[}%#]\}")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+")


class InvalidOtpText(Invalid):
    """The text of a password has to say where its code goes, once, and fit into a few segments."""


class InvalidWebDomain(Invalid):
    """The web domain is not a plain host name."""


def read_template(text: str) -> str:
    """A profile's text in its stored form: its tags are `{{ code }}`, exactly once, and `{{ minutes }}`."""
    names: list[str] = _TAG.findall(text)
    unknown = next((name for name in names if name not in TAGS.paths), None)
    if unknown is not None:
        raise InvalidOtpText(f"text has the tag {{{{ {unknown[:40]} }}}}; a password knows code and minutes.")
    if names.count("code") != 1:
        raise InvalidOtpText(f"text has {{{{ code }}}} {names.count('code')} times; write it exactly once.")
    if _BRACES.search(_TAG.sub("", text)):
        raise InvalidOtpText("text has braces of a tag that is not complete; write {{ code }} or {{ minutes }}.")
    return _TAG.sub(lambda tag: f"{{{{ {tag[1]} }}}}", text.strip())


def read_domain(raw: str) -> str:
    """A web domain as the last line of the text holds it."""
    domain = raw.strip().lower().removeprefix("@")
    if not _DOMAIN.fullmatch(domain):
        raise InvalidWebDomain(
            "web_domain is the host name of the page that asks for the code, such as login.example.com: "
            "no scheme, no port, no path, and in its ASCII form (xn--...)."
        )
    return domain


def compose(template: str, *, ttl_seconds: int, web_domain: str | None) -> str:
    """The text of a message with the code's place open, and the line for browsers at its end."""
    minutes = max(1, ttl_seconds // 60)
    text = template.replace("{{ minutes }}", str(minutes))
    return f"{text}\n\n@{web_domain} #{CODE}" if web_domain else text


def fill(text: str, code: str) -> str:
    """The words as the handset shows them."""
    return text.replace(CODE, code)


def measure_filled(text: str, *, length: int) -> Measured:
    """What the text will take on the air: all codes of a length take the same."""
    return measure(fill(text, "0" * length))


def check_size(template: str, *, length: int, ttl_seconds: int, web_domain: str | None) -> None:
    """Refuse a text that costs more than a password should."""
    measured = measure_filled(compose(template, ttl_seconds=ttl_seconds, web_domain=web_domain), length=length)
    if measured.segments > MAX_SEGMENTS:
        raise InvalidOtpText(
            f"text takes {measured.segments} segments with its code, and it may have {MAX_SEGMENTS}; shorten it."
        )
