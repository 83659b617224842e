"""X-Twilio-Signature, from the vendor's description: written on its own, shared with nobody.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

import base64
import hmac
from collections.abc import Sequence


def twilio_signature(token: str, url: str, params: Sequence[tuple[str, str]] = ()) -> str:
    """HMAC-SHA1 over the URL without its fragment and the distinct parameters, sorted."""
    signed = url.partition("#")[0] + "".join(name + value for name, value in sorted(dict.fromkeys(params)))
    # SHA-1 is the vendor's choice; HMAC keeps it sound.
    digest = hmac.digest(token.encode(), signed.encode(), "sha1")
    return base64.b64encode(digest).decode("ascii")
