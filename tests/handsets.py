"""People who write to a number of ours at Twilio, which passes it on, signed."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

ACCOUNT_SID = "AC" + "0" * 32


@dataclass(frozen=True)
class Handsets:
    """`client` calls without a key; `url` is the inbound address of the gateway, `token` what it signs by."""

    client: httpx.AsyncClient
    url: str
    gateway_id: str
    token: str
    ours: str = "+12025550199"
    sids: Any = field(default_factory=count)

    async def write(self, msisdn: str, text: str, **over: str) -> httpx.Response:
        fields = {
            "AccountSid": ACCOUNT_SID,
            "MessageSid": f"SM{next(self.sids):032x}",
            "From": msisdn,
            "To": self.ours,
            "Body": text,
            "NumMedia": "0",
        }
        fields |= over
        signature = _signature(self.token, self.url, fields)
        return await self.client.post(self.url, data=fields, headers={"X-Twilio-Signature": signature})


def _signature(token: str, url: str, fields: Mapping[str, str]) -> str:
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()
