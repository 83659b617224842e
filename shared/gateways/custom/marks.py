"""What stands for a secret while a script runs, and is replaced after it returned.

A mark cannot be guessed by who does not know the secrets, so that a message which says `%SECRET:api_key%`, or
anything like a mark, is sent saying so.
"""

import hmac
import json
import re
from collections.abc import Callable

from shared.adapter import Account
from shared.gateways.custom.values import secret_of

_NAMED = re.compile(r"%(SECRET:[a-z][a-z0-9_]*|BASIC:[a-z][a-z0-9_]*:[a-z][a-z0-9_]*)%")
_MARK = re.compile(r"%(SECRET:[a-z][a-z0-9_]*|BASIC:[a-z][a-z0-9_]*:[a-z][a-z0-9_]*)!([0-9a-f]{32})%")


def marked(account: Account, script: str) -> str:
    """The script with marks in the place of its placeholders for secrets."""
    return _NAMED.sub(lambda found: mark(account, found[1]), script)


def mark(account: Account, what: str) -> str:
    key = json.dumps(sorted(account.secrets.items())).encode()
    return f"%{what}!{hmac.digest(key, what.encode(), 'sha256').hex()[:32]}%"


def filled(account: Account, text: str, escape: Callable[[str], str] = str) -> str:
    """The text with its marks replaced, each secret escaped for where it stands."""

    def secret(found: re.Match[str]) -> str:
        if not hmac.compare_digest(found[0], mark(account, found[1])):
            return found[0]
        return escape(secret_of(account, tuple(found[1].split(":")[1:])))

    return _MARK.sub(secret, text)
