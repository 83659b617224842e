"""What each cause of a hand-over without an answer means to the gateway's owner, and what to do about it. Pure.

Causes are words that are recorded: the door's (`dispatcher/door/transport.py`) and those of whoever builds a call and
reads its answer. The sentences follow "It was certainly not sent." or "The gateway may have it".
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_ADDRESS = "see whether url has the right host"
_SLOW = (
    "The gateway did not answer in time: ask its vendor why, or wait longer for all of them with "
    "LAPWING_GATEWAY_DEADLINE_SECONDS."
)
_ANSWER = "try what came in POST /v1/gateways/classify and mend what the settings say of it"
_BUSY = "The dispatcher had no time left for it: send it again, and add a dispatcher if it comes often."

REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Nothing left.
        "bad_request": (
            "The settings make a request that is not sent: url must be http or https with a host and without "
            "credentials, and headers one line of ASCII each, none of them the connection's own."
        ),
        "forbidden_address": (
            "url leads to an address inside, which nothing connects to unless the operator allows it: list its network "
            "in LAPWING_ALLOWED_NETWORKS, or mend url."
        ),
        "dns_failure": f"The name in url has no address: {_ADDRESS}, and the name server of the dispatcher's host.",
        "dns_timeout": "The name in url was not answered for in time: see to the name server of the dispatcher's host.",
        "pool_timeout": (
            "No connection came free in time, for others wait on this gateway: give it a smaller pace.in_flight, or "
            "ask its vendor why it is slow."
        ),
        "refused_connection": (
            f"Nobody takes connections there: {_ADDRESS} and port, and whether the gateway is up and a firewall lets "
            "the dispatcher through."
        ),
        "unreachable": f"No way leads to that address: {_ADDRESS}, and whether the dispatcher's network has one.",
        "connect_timeout": (
            f"No connection stood in time: {_ADDRESS} and port, and whether a firewall drops what the dispatcher sends."
        ),
        "lease_margin": _BUSY,
        "tls_failure": (
            "TLS failed, mostly for a certificate that has ended, is for another name or is signed by nobody known: "
            "let the gateway have a valid one, write https only where it speaks TLS, and in a network of your own "
            "settings.verify_tls: false takes any."
        ),
        "login_failed": "The login got no token: detail says why; see to login in the settings, or to the vendor's.",
        "login_ended": "The gateway ended the login while this was under way: send it again.",
        "build_failed": "The message does not fit into the settings: detail says where; mend them, or the message.",
        "no_account": "The gateway's secrets cannot be opened with the keys that this dispatcher has, or it is gone.",
        "gateway_gone": "The gateway was changed or deleted while this waited: send it again.",
        # Something may have left.
        "read_timeout": _SLOW,
        "closed_unanswered": "The gateway took the request and closed the line without an answer: ask its vendor.",
        "connection_lost": "The line was cut while the gateway had the request: ask its vendor, or see to the network.",
        "unreadable_answer": f"What came cannot be read: see whether url is the vendor's for sending, and {_ANSWER}.",
        "cut_body": "The answer ended too early, or is packed in a way that cannot be undone: ask its vendor.",
        "body_too_large": "The answer was longer than 64 KiB, which none to a message is: see whether url is right.",
        "headers_too_large": "The answer's headers were too long: see whether url is right.",
        "redirect": "The gateway sends on to another address, which is not followed: write that address into url.",
        "http_4xx": f"The gateway's status does not say whether it has the message: ask its vendor, or {_ANSWER}.",
        "http_5xx": f"The gateway had a failure of its own, and may have the message: ask its vendor, or {_ANSWER}.",
        "no_success_in_answer": f"The answer is no success by the settings, and no refusal: {_ANSWER}.",
        "contradictory_answer": f"The answer is a success and a refusal at once: {_ANSWER}.",
        "in_doubt_by_settings": "The settings take this answer for in doubt: see their faults.",
        "script_failed": "The gateway's script failed: detail has its line.",
        "script_says_lost": "The gateway's script calls this answer lost.",
        "unforeseen": "Something went wrong that nobody foresaw: the dispatcher's log says what.",
    }
)
