"""Codes on their way into texts: worked out after the claim, filled in before the call is built, written down nowhere.

Before: the api stored a message whose text has `{{ code }}` in its place. After: `handover.py` builds the call.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries import codes as queries
from dispatcher.queries.claims import Claimed
from dispatcher.worker import Worker
from shared.domain import otp_text
from shared.domain.message import Kind
from shared.domain.otp import derive_code


class WithCode(Claimed):
    """A claimed password with its code in the text. `is_second` says that a gateway may have it already."""

    code: str
    is_second: bool

    @classmethod
    def of(cls, claimed: Claimed, code: str, *, is_second: bool = False) -> "WithCode":
        filled = cls._make(claimed._replace(text=otp_text.fill(claimed.text, code)))
        filled.code = code
        filled.is_second = is_second
        return filled


async def with_codes(
    worker: Worker, tx: AsyncConnection, claimed: Sequence[Claimed], *, lane: str
) -> tuple[Sequence[Claimed], list[Claimed]]:
    """The claimed messages with their codes filled in, and those whose code cannot be told here.

    While secret keys are rotated, a process that was not restarted yet lacks the newest one: another fills them.
    """
    if lane != "urgent":
        return claimed, []
    passwords = [one.id for one in claimed if one.kind == Kind.OTP and otp_text.CODE in one.text]
    if not passwords:
        return claimed, []
    codes = await read_codes(worker, tx, passwords)
    waiting = set(passwords).difference(codes)
    ready = [WithCode.of(one, codes[one.id]) if one.id in codes else one for one in claimed if one.id not in waiting]
    return ready, [one for one in claimed if one.id in waiting]


async def read_codes(worker: Worker, tx: AsyncConnection, message_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The codes of these messages, without those whose key is not among ours."""
    codes: dict[UUID, str] = {}
    for asked in await queries.list_challenges(tx, message_ids):
        pepper = worker.sealer.code_pepper(asked.pepper)
        if asked.test_code is None and pepper is not None:
            codes[asked.message_id] = derive_code(
                pepper, challenge_id=asked.otp_id, profile_id=asked.profile_id, msisdn=asked.msisdn, length=asked.length
            )
    return codes
