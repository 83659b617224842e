"""Twilio's list of messages: filters and pages, as a reconciling client sees them."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from urllib.parse import urlencode

from deploy.simulator.contract import Reply, Request, World
from deploy.simulator.dialects import twilio_words as words
from deploy.simulator.forms import read_form
from deploy.simulator.messages import Message

MAX_PAGE = 1000


def page(world: World, request: Request, *, now: float) -> Reply:
    """Newest first. A message that is not sent yet has no date, so no date finds it."""
    query = read_form(request.query)
    try:
        size = min(max(int(query.get("PageSize") or 50), 1), MAX_PAGE)
        number = max(int(query.get("Page") or 0), 0)
        sent = _sent_between(query)
    except ValueError:
        return Reply(400, _BAD_QUERY, refused="20001")
    found = _found(world, query, now=now, sent=sent)
    wanted = list(islice(found, number * size, (number + 1) * size + 1))
    more, messages = len(wanted) > size, wanted[:size]
    path = request.path.decode("ascii", "replace")
    shown = ", ".join(words.message_json(world.account.sid, message, now=now).decode() for message in messages)
    last = messages[-1].sid if messages else None
    around = {
        "page": number,
        "page_size": size,
        "start": number * size,
        "end": number * size + max(len(messages) - 1, 0),
        "uri": _uri(path, query, number, size=size),
        "first_page_uri": _uri(path, query, 0, size=size),
        "next_page_uri": _uri(path, query, number + 1, size=size, after=last) if more else None,
        "previous_page_uri": _uri(path, query, number - 1, size=size) if number else None,
    }
    return Reply(200, f'{{"messages": [{shown}], {json.dumps(around)[1:]}'.encode("ascii"))


_BAD_QUERY = (
    b'{"code": 20001, "message": "A parameter of the list is malformed", '
    b'"more_info": "https://www.twilio.com/docs/errors/20001", "status": 400}'
)


def _found(
    world: World, query: Mapping[str, str], *, now: float, sent: tuple[float, float] | None
) -> Iterator[Message]:
    sender = query.get("From")
    for message in world.archive.newest_first(query.get("To") or None):
        if message.dialect != "twilio":
            continue
        status = message.status(now)
        begun = status not in {"queued", "accepted"}
        known = message.send.sender or (words.SERVICE_SENDER if begun else "")
        if sender and sender != known:
            continue
        if sent is not None and not (begun and sent[0] <= message.sent_at < sent[1]):
            continue
        yield message


def _sent_between(query: Mapping[str, str]) -> tuple[float, float] | None:
    """The half-open span that DateSent, `DateSent>` and `DateSent<` leave, both ends included."""
    low, high = 0.0, float("inf")
    names = {"DateSent": (True, True), "DateSent>": (True, False), "DateSent<": (False, True)}
    given = False
    for name, (is_low, is_high) in names.items():
        value = query.get(name)
        if not value:
            continue
        given = True
        start, end = _span(value)
        low = max(low, start) if is_low else low
        high = min(high, end) if is_high else high
    return (low, high) if given else None


def _span(value: str) -> tuple[float, float]:
    """A day, or the second a timestamp names; times without a zone are GMT."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    length = timedelta(days=1) if len(value) == 10 else timedelta(seconds=1)
    return moment.timestamp(), (moment + length).timestamp()


def _uri(path: str, query: Mapping[str, str], number: int, *, size: int, after: str | None = None) -> str:
    kept = {name: value for name, value in query.items() if not name.startswith("Page")}
    kept |= {"PageSize": str(size), "Page": str(number)}
    if after is not None:
        kept["PageToken"] = f"PA{after}"
    return f"{path}?{urlencode(kept)}"
