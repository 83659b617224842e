"""Where a campaign message's words come from, written out or copied from a template, and what goes with them.

The copy is the campaign's own. Which template it was and which version is kept for the record only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns.schemas import StepIn
from shared.domain.attachment import Media
from shared.errors import FieldError
from shared.queries.attachments import find_media
from shared.queries.templates import StoredText, find_texts


@dataclass(frozen=True, slots=True)
class Worded:
    """A message of the sequence with its words; `place` is where it stood in the request."""

    place: int
    text: str
    send_at: datetime | None
    send_by: datetime | None
    template_id: UUID | None = None
    template_version: int | None = None
    attachments: tuple[Media, ...] = ()

    @property
    def named(self) -> str:
        """The field that the words came in."""
        return "text" if self.template_id is None else "template_id"


async def word_steps(tx: AsyncConnection, steps: Sequence[StepIn]) -> tuple[list[Worded], list[FieldError]]:
    """The messages with their words, and what is wrong with where they come from."""
    ids = {step.template_id for step in steps if step.template_id is not None}
    known = await find_texts(tx, ids) if ids else {}
    media = await find_media(tx, {each for step in steps for each in step.attachment_ids})
    errors: list[FieldError] = []
    worded: list[Worded] = []
    for place, step in enumerate(steps):
        errors += _find_unattachable(place, step, media)
        carried = tuple(media[each] for each in step.attachment_ids if each in media)
        stored = known.get(step.template_id) if step.template_id else None
        if problem := _problem(step, stored):
            errors.append(FieldError(f"/messages/{place}/{problem[0]}", problem[1]))
        elif stored is not None:
            copied = stored.template_id, stored.version
            worded.append(Worded(place, stored.text, step.send_at, step.send_by, *copied, carried))
        else:
            worded.append(Worded(place, step.text or "", step.send_at, step.send_by, attachments=carried))
    return worded, errors


def _find_unattachable(place: int, step: StepIn, media: Mapping[UUID, Media]) -> Iterator[FieldError]:
    """Which attachments are not there, and which are named twice."""
    for number, each in enumerate(step.attachment_ids):
        at = f"/messages/{place}/attachment_ids/{number}"
        if each not in media:
            yield FieldError(at, f"There is no attachment {each}; upload it with POST /v1/attachments.")
        elif each in step.attachment_ids[:number]:
            yield FieldError(at, f"The attachment {each} is named twice; leave one out.")


def _problem(step: StepIn, stored: StoredText | None) -> tuple[str, str] | None:
    """The field that cannot be used, and why."""
    if step.text is None and step.template_id is None:
        return "text", "A text is required: write it as text, or name a template_id to copy it from."
    if step.text is not None and step.template_id is not None:
        return "template_id", "Give either text or template_id; to change what a template says, write it as text."
    if step.template_id is not None and stored is None:
        return "template_id", f"There is no template {step.template_id}."
    return None
