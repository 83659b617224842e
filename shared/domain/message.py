"""The life of one message, as law.

Nothing here reads a clock, a row or a socket. The dispatcher asks, and the same tables guard its UPDATE statements
(`dispatcher/queries/`), so a rule is written down once.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from shared.domain.contact import Consent
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.errors import Conflict


class Status(StrEnum):
    QUEUED = "queued"  # waiting to be claimed
    SENDING = "sending"  # leased, the intent is committed: bytes may leave
    SUBMITTED = "submitted"  # a gateway took it
    SENT = "sent"  # the carrier took it
    DELIVERED = "delivered"  # the handset has it
    UNDELIVERED = "undelivered"  # gateway or carrier gave up after taking it
    FAILED = "failed"  # no gateway would take it
    UNCONFIRMED = "unconfirmed"  # a gateway may have it
    EXPIRED = "expired"  # past its expires_at, not sent
    SKIPPED = "skipped"  # not sent on purpose; skip_reason says why
    CANCELLED = "cancelled"  # its owner called it back in time


class SkipReason(StrEnum):
    OPTED_OUT = "opted_out"
    INVALID_MSISDN = "invalid_msisdn"
    DUPLICATE = "duplicate"
    NO_CONSENT = "no_consent"
    EXCLUDED = "excluded"
    FREQUENCY_CAP = "frequency_cap"
    QUOTA = "quota"
    COUNTRY = "country"  # the policy allows no messages there
    LANDLINE = "landline"  # its owner wants none of the campaign's messages to go to one


class Kind(StrEnum):
    OTP = "otp"
    PERSONAL = "personal"
    VOUCHER = "voucher"
    TEST = "test"
    CAMPAIGN = "campaign"


# Lower goes first. A password before a person's message, both before a campaign. A test stands outside this order: it
# is pinned to one gateway and has a queue of its own, which no pump looks into (`dispatcher/path/trials.py`).
PRIORITY_OF: Final[Mapping[Kind, int]] = MappingProxyType(
    {Kind.OTP: 0, Kind.PERSONAL: 1, Kind.VOUCHER: 1, Kind.CAMPAIGN: 2, Kind.TEST: 3}
)
PUMPED: Final = frozenset(Kind) - {Kind.TEST}

# What one message may cost at most.
MAX_SEGMENTS: Final = 10

# Still to be handed over: while a campaign has one of these, it is not completed.
OPEN: Final = frozenset({Status.QUEUED, Status.SENDING})

# Nothing more is expected of these, though a late receipt may still say better.
FINAL: Final = frozenset(
    {Status.DELIVERED, Status.UNDELIVERED, Status.FAILED, Status.EXPIRED, Status.SKIPPED, Status.CANCELLED}
)

# What only evidence of acceptance can name; everything else ranks below all of them.
EVIDENCE: Final = frozenset({Status.SUBMITTED, Status.SENT, Status.DELIVERED, Status.UNDELIVERED})

# Receipts merge by the higher rank, so order, lateness and repetition can't matter. Networks do deliver after they
# reported failure; they never take delivery back.
RANK: Final[Mapping[Status, int]] = MappingProxyType(
    dict.fromkeys(Status, 0) | {Status.SUBMITTED: 1, Status.SENT: 2, Status.UNDELIVERED: 3, Status.DELIVERED: 4}
)

MOVES: Final[Mapping[Status, frozenset[Status]]] = MappingProxyType(
    {
        # Unconfirmed without a hand-over: the database was set back, and a later one may have sent it.
        Status.QUEUED: EVIDENCE
        | {Status.SENDING, Status.FAILED, Status.EXPIRED, Status.SKIPPED, Status.CANCELLED, Status.UNCONFIRMED},
        Status.SENDING: EVIDENCE | {Status.QUEUED, Status.FAILED, Status.UNCONFIRMED},
        Status.SUBMITTED: frozenset({Status.SENT, Status.UNDELIVERED, Status.DELIVERED}),
        Status.SENT: frozenset({Status.UNDELIVERED, Status.DELIVERED}),
        Status.DELIVERED: frozenset(),
        Status.UNDELIVERED: frozenset({Status.DELIVERED}),
        # Back to the queue only on proof that nothing had left: a late answer of the dispatcher that lost its lease.
        # On its way again only as a password, once, through another gateway: `dispatcher/path/second_tries.py`.
        Status.UNCONFIRMED: EVIDENCE | {Status.QUEUED, Status.FAILED, Status.SENDING},
        # A receipt for one of these says that a gateway lied when it refused. It is believed.
        Status.FAILED: EVIDENCE,
        Status.EXPIRED: EVIDENCE,
        # Once more when its campaign is restarted; a message that its owner called back stays so.
        Status.CANCELLED: EVIDENCE | {Status.QUEUED},
        Status.SKIPPED: EVIDENCE,
    }
)

# An answer counts only while the hand-over it belongs to is the message's last word.
ANSWERABLE: Final = frozenset({Status.SENDING, Status.UNCONFIRMED})

# What may leave yet: it waits, or it comes back to the queue when a hand-over turns out not to have happened. Whoever
# calls messages back means all of these; one that was taken by a gateway meanwhile is none the worse for it.
MAY_LEAVE: Final = ANSWERABLE | {Status.QUEUED}


def after_outcome(current: Status, outcome: Outcome, *, again: bool, doubted: bool = False) -> Status:
    """Where an answer leaves a message. `again` says that it may be handed over once more.

    An answer that comes after a receipt, or after another attempt began, changes nothing. `doubted` says that another
    gateway may have the message already: then a refusal proves nothing, and the doubt stays.
    """
    if current not in ANSWERABLE:
        return current
    match outcome:
        case Accepted():
            return Status.SUBMITTED
        case Lost(may_have_arrived=True):
            # Sending again could ring the handset twice; only evidence may tell.
            return Status.UNCONFIRMED
        case _ if doubted:
            return Status.UNCONFIRMED
        case Refused(fault=Fault.MESSAGE | Fault.OPTED_OUT):
            return Status.FAILED
        case Refused() | Lost():
            return Status.QUEUED if again else Status.FAILED


def after_receipt(current: Status, reported: Status) -> Status:
    """Where a receipt leaves a message that was handed over at least once.

    Receipts come late, twice, out of order and before the answer; none is ever an error.
    """
    return reported if RANK[reported] > RANK[current] else current


def after_lease(current: Status) -> Status:
    """Where a lease that ran out leaves a message: its dispatcher died, and nobody knows how far it got."""
    return Status.UNCONFIRMED if current is Status.SENDING else current


class MessageNotCancellable(Conflict):
    """The message has left the queue; what is on its way cannot be called back."""


class MessageNotResendable(Conflict):
    """The message is on its way or has arrived, or its recipient does not agree to it any more."""


class MessageErased(Conflict):
    """The person that the message was for has been erased; nobody knows any more whom to send it to."""


class MessageAlreadyResent(Conflict):
    """The message was sent again before, and that one is on its way or has arrived; another would ring twice."""


# Ended, and not known to have reached the handset.
RESENDABLE: Final = frozenset({Status.FAILED, Status.UNCONFIRMED, Status.UNDELIVERED, Status.EXPIRED, Status.CANCELLED})


def check_known(msisdn: str) -> None:
    """Raise for a message whose recipient was erased."""
    if not msisdn:
        raise MessageErased("The person that this message was for has been erased; there is nobody to send it to.")


def check_cancellable(status: Status) -> None:
    if status is Status.SENDING:
        raise MessageNotCancellable(
            "The message is sending: it is at a gateway's door. If it is not taken there, it is queued again; call it "
            "back then."
        )
    if status is not Status.QUEUED:
        raise MessageNotCancellable(f"The message is {status}; only a queued one can be called back.")


def check_resendable(status: Status, kind: Kind = Kind.PERSONAL) -> None:
    if kind is Kind.TEST:
        raise MessageNotResendable("The message is a gateway's test; test the gateway once more instead.")
    if kind is Kind.OTP:
        raise MessageNotResendable(
            "The message carries a one-time password; send that again with POST /v1/otp/{id}/resend."
        )
    if status not in RESENDABLE:
        raise MessageNotResendable(f"The message is {status}; only one that ended without arriving can be sent again.")


def check_agreed(consents: Collection[Consent], *, required: bool) -> None:
    """Refuse a campaign's words once more to whoever does not agree to them any more.

    `consents` are those of the contact they were for and of whoever has the number now; `required` that there is one.
    """
    told = set(consents) or {Consent.UNKNOWN}
    against = told.intersection({Consent.WITHDRAWN}) or (told - {Consent.GRANTED} if required else set())
    if against:
        raise MessageNotResendable(
            f"A campaign or an automation wrote this, and their consent is {min(against)}; write to them with "
            "POST /v1/messages."
        )


def check_resent_once(resends: Iterable[tuple[UUID, Status]]) -> None:
    """Refuse one more message in the place of another, while one that went there before is under way or has arrived."""
    for id_, status in resends:
        if status not in RESENDABLE and status is not Status.SKIPPED:
            raise MessageAlreadyResent(
                f"The message was sent again as {id_}, which is {status}; look at that one instead."
            )


def sources_of(target: Status) -> frozenset[Status]:
    """The statuses a message may come from, for a guarded UPDATE."""
    return frozenset(status for status, targets in MOVES.items() if target in targets)
