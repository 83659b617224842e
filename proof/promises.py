"""What the service acknowledged to its client: the first of the three ledgers, kept by the client itself.

A promise is named without asking the service's database: a campaign's by (campaign message, number), a single
message's by the id it was answered with.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from proof.client import Client
from proof.world import World

Key = tuple[str, str]  # (campaign message, msisdn), or ("", message)

IMPORT_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Started:
    """A campaign that the api has agreed to send."""

    id: str
    name: str
    steps: tuple[str, ...]
    msisdns: tuple[str, ...] = field(repr=False)

    @property
    def keys(self) -> frozenset[Key]:
        return frozenset((step, msisdn) for step in self.steps for msisdn in self.msisdns)

    @property
    def size(self) -> int:
        return len(self.steps) * len(self.msisdns)


@dataclass(slots=True)
class Promises:
    """Everything one client was promised in one world."""

    campaigns: list[Started] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)  # appended to by threads, too

    @property
    def keys(self) -> frozenset[Key]:
        return frozenset([key for one in self.campaigns for key in one.keys] + [("", id_) for id_ in self.messages])

    def start_campaign(
        self,
        api: Client,
        name: str,
        *,
        msisdns: Sequence[str],
        group_id: str | None = None,
        steps: int = 1,
        send_by: datetime | None = None,
    ) -> Started:
        """Make and start a campaign to these numbers: named one by one, or through the group that holds them.

        Every text is its own, so that the gateway's ledger alone shows whether a phone rang twice.
        """
        audience: dict[str, Any] = {"target_group_ids": [group_id]} if group_id else {"msisdns": list(msisdns)}
        draft = api.insist(
            "POST",
            "/v1/campaigns",
            {
                "name": name,
                "messages": [_step(f"{name}, message {number}", send_by) for number in range(1, steps + 1)],
                "opt_in_acknowledged": True,
                **audience,
            },
        )
        api.insist("POST", f"/v1/campaigns/{draft['id']}/start")
        started = Started(draft["id"], name, tuple(step["id"] for step in draft["messages"]), tuple(msisdns))
        self.campaigns.append(started)
        return started

    def send(self, api: Client, msisdn: str, text: str, *, seconds: float = 60.0, key: str | None = None) -> str:
        """One personal message, asked for with one Idempotency-Key until it is acknowledged; its id."""
        answer = api.insist("POST", "/v1/messages", {"msisdn": msisdn, "text": text}, seconds=seconds, key=key)
        self.messages.append(answer["id"])
        return str(answer["id"])


def _step(text: str, send_by: datetime | None) -> dict[str, Any]:
    return {"text": text} | ({"send_by": send_by.isoformat()} if send_by else {})


def make_group(world: World, name: str) -> str:
    return str(world.api.post("/v1/target-groups", {"name": name, "kind": "static"})["id"])


def upload_contacts(world: World, msisdns: Sequence[str], *, group_id: str | None = None) -> str:
    """Hand in a CSV of contacts; the id of its import, which a dispatcher carries out."""
    lines = ["msisdn,name,external_id", *(f"{msisdn},Person {n},{n}" for n, msisdn in enumerate(msisdns))]
    fields = {"target_group_id": group_id} if group_id else {}
    answer = world.api.upload("/v1/contacts/import", ("\n".join(lines) + "\n").encode(), **fields)
    return str(answer["id"])


def await_import(world: World, import_id: str, *, seconds: float = IMPORT_SECONDS) -> dict[str, Any]:
    """The import, once it has come to its end."""
    give_up = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = world.api.insist("GET", f"/v1/imports/{import_id}")
        if found["status"] in ("completed", "failed"):
            return found
        if time.monotonic() > give_up:
            raise TimeoutError(f"import {import_id} is {found['status']} after {seconds:g} s")
        time.sleep(0.1)


def import_group(world: World, name: str, msisdns: Sequence[str]) -> str:
    """A target group that holds contacts with these numbers; its id."""
    group_id = make_group(world, name)
    done = await_import(world, upload_contacts(world, msisdns, group_id=group_id))
    if done["rows_imported"] != len(msisdns):
        raise ValueError(f"{done['rows_imported']} of {len(msisdns)} contacts were imported: {done}")
    return group_id
