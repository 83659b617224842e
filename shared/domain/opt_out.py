"""Whose messages a person's no holds back: everybody's, or those of some senders. Pure.

A no to a sender also holds back what names no sender, since that may leave under any; and, where carriers show no
names, what names one, since a number of ours stands for it there. The statement that asks is in
`shared/queries/opt_outs.py`.
"""

from shared.domain import sender_id
from shared.domain.policy import OptOutScope


def sender_meant(scope: OptOutScope, to: str | None) -> tuple[str, ...] | None:
    """The senders that a word written to `to`, or said of it, is about; None is all of them.

    What cannot be told apart is all: better too quiet than against somebody's word.
    """
    if scope is OptOutScope.ALL:
        return None
    own = sender_of(to or "")
    return None if own is None else (own,)


def sender_of(to: str) -> str | None:
    """A number or a short code of ours as messages name it as their sender, however a gateway writes it."""
    try:
        return sender_id.parse(to).value
    except sender_id.InvalidSenderId:
        pass
    try:
        return sender_id.parse(f"+{to.strip()}").value  # gateways leave the + out
    except sender_id.InvalidSenderId:
        return None


def left_after_start(
    scope: OptOutScope, held: tuple[str, ...] | None, *, meant: tuple[str, ...] | None, by_handset: bool
) -> tuple[str, ...] | None:
    """The senders that a no still holds back after a START; none of them is the end of it.

    Where each sender is by itself, a no to all of them that did not come from the handset (`by_handset`) is not ended
    by a START to one.
    """
    if scope is OptOutScope.ALL:
        return ()
    if meant is None:  # to whom it was written is not known: nothing is opened by a guess
        return held
    if held is None:
        return () if by_handset else None
    return tuple(one for one in held if one not in meant)
