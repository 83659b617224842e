"""What can be said of a text with tags before anybody's values fill it."""

from shared.domain.policy import Policy, find_too_long
from shared.domain.segments import measure
from shared.domain.template import Template


def find_unfit(template: Template, policy: Policy) -> str | None:
    """Why nobody could be sent this; None if somebody could. A text with tags is measured when they are filled."""
    if not template.is_plain:
        return None
    words = template.fill({}).text
    if not words.strip():
        return "The text is empty; write what to send."
    measured = measure(words)
    return find_too_long(policy, characters=measured.characters, segments=measured.segments)
