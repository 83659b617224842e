"""What a message becomes by the receipts of its parts, where a gateway sends one for each.

The handset shows a text when it has all of it: so `delivered` needs every part, and one that did not arrive is enough
for `undelivered`. A part that failed and arrived after all makes up for it; until all have, nothing is taken back.
"""

from shared.domain.message import Status


def after_parts(*, parts: int, delivered: int, failed: int) -> Status:
    """`delivered` and `failed` are how many different parts were told to be that, at any time; of so many `parts`."""
    if delivered >= max(1, parts):
        return Status.DELIVERED
    return Status.UNDELIVERED if failed else Status.SENT
