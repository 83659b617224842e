"""What can be said of a text with tags before anybody's values fill it."""

from shared.domain.message import MAX_SEGMENTS
from shared.domain.segments import measure
from shared.domain.template import Template


def find_unfit(template: Template) -> str | None:
    """Why nobody could be sent this; None if somebody could. A text with tags is measured when they are filled."""
    if not template.is_plain:
        return None
    words = template.fill({}).text
    if not words.strip():
        return "The text is empty; write what to send."
    segments = measure(words).segments
    if segments > MAX_SEGMENTS:
        return f"The text takes {segments} segments, and a message may have {MAX_SEGMENTS}; shorten it."
    return None
