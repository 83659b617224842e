"""Tags in another service's manner, `{name}` or `%NAME%`: no tags here, so people would read them as they stand. Pure.

Braces and per cent signs round a word are told of whatever the word is; other brackets may well be meant, and are told
of only where the word is one of ours.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from shared.domain.template_tags import Known

_MOST: Final = 10
_WORD: Final = r"[^\W\d_][\w.\-]{0,63}"
_ESCAPED: Final = r"[0-9A-Fa-f]{2}%"  # of an address: %C3%A9
_FOUND: Final = re.compile(
    r"\{\{.*?\}\}|\{#.*?#\}"  # our own, and what is quoted in them
    rf"|(?P<sure>[$%]?\{{\s?\$?(?P<brace>{_WORD}(?:\x20[\w.\-]{{1,40}})?)\s?\}}|%%?(?!{_ESCAPED})(?P<percent>{_WORD})%%?"
    rf"|%\((?P<python>{_WORD})\)s|\*\|(?P<pipe>{_WORD})\|\*)"
    rf"|(?P<maybe>\[\[?(?P<square>{_WORD})\]\]?|<<?(?P<angle>{_WORD})>>?|\#\#?(?P<hash>{_WORD})\#\#?)",
    re.DOTALL,
)
# What else it is called, in the languages that those write who come from another service.
_ELSEWHERE: Final = {
    "msisdn": "to phone phone_number phonenumber number mobile mobile_number recipient tel telephone telefon handy "
    "nummer",
    "name": "first_name firstname fname last_name lastname lname full_name fullname user_name username customer "
    "customer_name vorname nachname kunde nom prenom nombre",
    "voucher.code": "code voucher voucher_code vouchercode pin coupon gutschein",
    "voucher.plan": "plan package tariff tarif",
    "voucher.validity": "validity valid_until expiry",
    "voucher.location": "location site standort",
    "location_id": "location site standort",
    "external_id": "id customer_id user_id customer_number kundennummer",
    "campaign.name": "campaign campaign_name",
}


class Strange(NamedTuple):
    """A tag as somebody else would write it, and the name of ours that was probably meant.

    `sure`: braces or per cent signs, which stand round a word for nothing else.
    """

    written: str
    name: str | None
    sure: bool


def find_strange(text: str, *, known: Known) -> Iterator[Strange]:
    """What looks like another service's tag, each once, in order of appearance."""
    seen: set[str] = set()
    for found in _FOUND.finditer(text):
        word = next((each for each in found.groupdict(default="").values() if each and each != found[0]), "")
        if not word or found[0] in seen:
            continue
        name = _ours(word, known)
        if name is None and found["sure"]:
            name = known.nearest(_plain(word)) or _own(word, known)
        if name is not None or found["sure"]:
            seen.add(found[0])
            yield Strange(found[0], name, sure=found["sure"] is not None)


def warnings(text: str, *, known: Known, filled: bool = True) -> Iterator[str]:
    """A sentence for each; `filled` tells whether the tags of the text are filled, or it is sent as it is."""
    for one in islice(find_strange(text, known=known), _MOST):
        name = one.name or next(iter(known.names))
        told = f"`{one.written}` is no tag here and goes out as it stands: write {{{{ {name} }}}}"
        if filled:
            yield f'{told}, or {{{{ "{one.written}" }}}} if it is meant so.'
        else:
            yield f"{told} and add `variables` (`{{}}` will do), unless it is meant so."


def _ours(word: str, known: Known) -> str | None:
    """The tag that is surely meant: ours in other brackets, or what others call it."""
    plain = _plain(word)
    if known.path(tuple(plain.split("."))) is not None:
        return plain
    below = {f"{root}.{plain}" for root in known.open_roots}
    own = next((name for name in known.paths if name.lower() in below), None)
    return own or next(
        (name for name, others in _ELSEWHERE.items() if name in known.paths and plain in others.split()), None
    )


def _own(word: str, known: Known) -> str | None:
    """A value of one's own: of the contact where contacts have some, else one told with the message."""
    key = _plain(word).replace(".", "_")
    roots = sorted(known.open_roots)
    return f"{roots[0]}.{key}" if roots else None


def _plain(word: str) -> str:
    return re.sub(r"[\s\-]+", "_", word).lower()
