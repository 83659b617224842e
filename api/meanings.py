"""What the words of the document's enumerations mean, for whoever reads only the document."""

from collections.abc import Mapping
from typing import Any, Final

MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "MessageStatus": {
        "queued": "it waits to be handed over",
        "sending": "a dispatcher hands it over, just now",
        "submitted": "a gateway took it",
        "sent": "the carrier took it",
        "delivered": "the handset has it",
        "undelivered": "gateway or carrier gave up after taking it",
        "failed": "no gateway would take it",
        "unconfirmed": "a gateway may have it, and nothing says so yet",
        "expired": "its `expires_at` came before its turn",
        "skipped": "not sent on purpose; `skip_reason` says why",
        "cancelled": "called back in time",
    },
    "EntryKind": {
        "grant": "added to what may be sent",
        "reserve": "promised to a campaign or a message that is not sent yet",
        "release": "given back, since it will not be sent",
        "consume": "a gateway took it, or may have",
    },
    "Period": {
        "total": "once and for ever",
        "day": "anew each day, by the policy's `time_zone`",
        "month": "anew each month",
        "year": "anew each year",
    },
    "SkipReason": {
        "opted_out": "the person said no",
        "invalid_msisdn": "no message may go to this number",
        "duplicate": "the same campaign message goes to this number already",
        "no_consent": "the person took their consent back, or the policy asks for one and there is none",
        "excluded": "taken out of the campaign by its owner",
        "frequency_cap": "the number has had as many campaign messages as the policy allows",
        "quota": "the quota was used up",
        "country": "the policy does not allow this country",
        "landline": "by its numbering plan it shows no texts, and the campaign has `skip_landlines`",
    },
    "MessageKind": {
        "otp": "a one-time password, before all others",
        "personal": "to one person",
        "voucher": "to one person, with something of worth",
        "test": "of an operator, to try a gateway",
        "campaign": "to one of a campaign's recipients, after all others",
    },
    "CampaignStatus": {
        "draft": "it may be changed, and nothing is sent",
        "scheduled": "it waits for its first `send_at`",
        "running": "its messages are on their way",
        "completed": "no message of it is open",
        "stopped": "its owner called back what was not sent",
        "held": "it needs its owner; `held_reason` says why",
        "archived": "put away; lists hide it unless asked",
    },
    "HeldReason": {
        "late": "its time was long past when it could have begun",
        "quota": "the quota does not cover it",
        "no_gateway": "no gateway may take its messages",
        "error_rate": "too many of its messages were refused",
        "restored": "the database was restored from a backup",
        "audience": "it would reach more people than were confirmed",
        "segments": "its texts would take more segments than were confirmed",
    },
    "StepStatus": {
        "pending": "its time has not come",
        "expanding": "recipients become messages, and the first are on their way",
        "sending": "every recipient has a message",
        "completed": "none of them is open",
        "cancelled": "what was not sent was called back",
    },
    "Consent": {
        "unknown": "nobody has said",
        "granted": "the person agreed to be written to",
        "withdrawn": "the person took that back",
    },
    "Fault": {
        "message": "any gateway would refuse it, so it fails",
        "opted_out": "the person said no to the gateway, and joins the opt-outs",
        "account": "the gateway refuses everything of ours, and is withdrawn",
        "gateway": "this gateway will not, another may",
        "throttled": "not now",
    },
    "OutcomeName": {
        "accepted": "the gateway took it",
        "refused": "it did not; `fault` says whose doing that is",
        "lost": "it may have arrived, and nobody said so",
        "not_sent": "it certainly did not arrive",
    },
    "Outcome": {
        "message": "one was made; its own status tells on",
        "not_matched": "a condition does not hold",
        "opted_out": "the person's standing no",
        "no_consent": "the person took their consent back",
        "no_contact": "neither a number nor a contact that is there",
        "capped": "the person has had as many of this automation as `cap` lets",
        "missing_tags": "the template has tags that neither the contact nor `data` fills",
        "too_long": "longer than the policy or a message allows",
        "country_not_allowed": "the policy does not allow this country",
        "never_open": "quiet hours leave no hour of a week",
        "too_late": "the voucher that it is about would have ended by then",
        "quota": "the quota has too little left",
        "switched_off": "the policy keeps automations, or their sender, from sending",
        "template_gone": "its template is not there",
        "failed": "something nobody foresaw; the log has it",
    },
    "NoticeKind": {
        "balance_low": "a gateway's credit is below `warn_below`",
        "balance_empty": "it is below `stop_below`, and the gateway is skipped",
        "balance_recovered": "neither, after one of them",
        "balance_unreadable": "asked for several times in a row, in vain",
        "gateway_withdrawn": "it refuses everything of ours",
        "gateway_failing": "it fails, and is left alone for a while",
        "gateway_recovered": "it takes messages again",
        "gateway_missing": "passwords or other single messages are due, and no enabled gateway takes them",
        "gateway_found": "one takes them again",
        "quota_low": "most of a period's quota is reserved or used",
        "quota_exhausted": "all of it is, and messages are refused",
        "campaign_held": "a campaign needs its owner",
        "database_restored": "the database came back from a backup, so campaigns wait for their owners",
        "webhook_disabled": "a system of yours took nothing for days",
        "otp_blocked": "passwords to a prefix or a country are not used, so none go there for a while",
        "otp_conversion_low": "passwords to a prefix at home are hardly used",
        "otp_spend_near": "most of what may be spent on passwords is spent",
        "otp_spend_reached": "all that may be spent on passwords is spent, so none go out",
        "otp_failures": "wrong codes were entered for many numbers at once",
    },
    "SenderKind": {
        "numeric": "a number in E.164",
        "alphanumeric": "a name, to which nobody can reply",
        "short_code": "3 to 8 digits",
    },
}


def add_meanings(schemas: Mapping[str, dict[str, Any]]) -> None:
    """Put them where the enumerations are."""
    for name, meanings in MEANINGS.items():
        if name in schemas:
            said = [f"* `{word}`: {meaning}" for word, meaning in meanings.items()]
            schemas[name]["description"] = "\n".join([schemas[name].get("description", ""), "", *said]).strip()
