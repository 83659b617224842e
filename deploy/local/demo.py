"""`make demo`: a campaign of 1,000 from a CSV file to the report, through a simulated gateway on a bad day.

Everything is started, used and taken down again in a temporary directory of its own; `.lapwing` is not touched.
"""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deploy.local import demo_contacts as sample
from deploy.local.demo_errors import DemoFailed
from deploy.local.demo_evidence import Evidence, compare
from deploy.local.demo_screen import UNDER_WAY, Screen, table
from deploy.local.demo_world import COMMANDS, World, running
from deploy.local.errors import ServerFailed
from deploy.local.supervisor import Command
from deploy.simulator.launch import SimulatorError
from deploy.simulator.ledger import read_ledger

TEXT: Final = (
    'Hi {{ name | default("there") }}, thanks for {{ fields.visits }} visits in {{ fields.city }}! '
    "Your next coffee is on us: {{ fields.voucher }}. Reply STOP to opt out."
)
SENDER: Final = "+12025550199"
IMPORT_SECONDS: Final = 60.0
CAMPAIGN_SECONDS: Final = 90.0
INTERRUPTED: Final = 130


def tell(screen: Screen, state: Path, *, commands: Sequence[Command] = COMMANDS) -> Evidence:
    """The whole story, step by step; raises DemoFailed where it goes wrong."""
    begun = time.monotonic()
    people = sample.make_sample()
    screen.step("Start", "PostgreSQL, Valkey, a gateway simulator, the api and two dispatchers ...")
    with running(state, commands=commands) as world:
        screen.step("", f"up after {time.monotonic() - begun:.1f} s, on free ports and sockets of this machine")
        _add_gateway(screen, world)
        group_id = _import_people(screen, world, people)
        _opt_out(screen, world, people.msisdns[-1])
        campaign_id = _make_campaign(screen, world, group_id)
        _watch(screen, world, campaign_id)
        return _report(screen, world, campaign_id)


def _add_gateway(screen: Screen, world: World) -> None:
    simulator = world.simulator
    world.client.post(
        "/v1/gateways",
        {
            "name": "Demo gateway",
            "kind": "twilio",
            "settings": {
                "account_sid": simulator.account_sid,
                "api_key": simulator.api_key,
                "from": SENDER,
                "base_url": simulator.base_url,
            },
            "secrets": {"api_secret": simulator.api_secret, "auth_token": simulator.auth_token},
        },
    )
    screen.step("Gateway", "kind twilio, pointed at the simulator")


def _import_people(screen: Screen, world: World, people: sample.Sample) -> str:
    group = world.client.post("/v1/target-groups", {"name": "Spring guests"})
    begun = world.client.upload(
        "/v1/contacts/import",
        people.data,
        file_name=sample.FILE_NAME,
        fields={"target_group_id": group["id"], "default_region": sample.REGION},
    )
    path = f"/v1/imports/{begun['id']}"
    done = _wait(
        world,
        lambda: _unless(world.client.get(path), status=("queued", "running")),
        seconds=IMPORT_SECONDS,
        what="The import did not end",
    )
    if done["status"] != "completed":
        raise DemoFailed(f"The import failed: {done['error']}")
    rejections = world.client.rows(f"{path}/errors.csv")
    group = world.client.get(f"/v1/target-groups/{group['id']}")
    screen.step(
        "Import",
        f"{sample.FILE_NAME}: {done['rows_total']:,} rows, {done['rows_imported']:,} imported, "
        f"{done['rows_rejected']} rejected",
        *(f"  row {row['row']:>4}  {row['column'] or '':<9} {row['reason']}" for row in rejections),
    )
    screen.step("Group", f"'{group['name']}' holds {group['members']:,} contacts; some stood in the file twice")
    if group["members"] != len(people.msisdns) or len(rejections) != sample.REJECTED:
        raise DemoFailed(
            f"The file holds {len(people.msisdns):,} people and {sample.REJECTED} rows to reject, but "
            f"{group['members']:,} were imported and {len(rejections)} rejected."
        )
    return str(group["id"])


def _opt_out(screen: Screen, world: World, msisdn: str) -> None:
    world.client.post("/v1/opt-outs", {"msisdn": msisdn})
    screen.step("Opt-out", "one of them has said no before, and will be skipped")


def _make_campaign(screen: Screen, world: World, group_id: str) -> str:
    campaign = world.client.post(
        "/v1/campaigns",
        {
            "name": "Spring coffee",
            "messages": [{"text": TEXT}],
            "target_group_ids": [group_id],
            "opt_in_acknowledged": True,
        },
    )
    shown = world.client.get(f"/v1/campaigns/{campaign['id']}/preview")["messages"][0]
    screen.step(
        "Campaign",
        f"'{campaign['name']}'; the first recipient would read:",
        f'  "{shown["text"]}"',
        f"  {shown['encoding']}, {shown['characters']} characters, {_counted(shown['segments'], 'segment')}",
    )
    screen.step(
        "Bad day",
        "the simulator is told to hang up after taking every 100th message, to turn every 45th away as one "
        "too many, and to send its receipts in any order and some of them twice",
    )
    world.client.post(f"/v1/campaigns/{campaign['id']}/start")
    return str(campaign["id"])


def _watch(screen: Screen, world: World, campaign_id: str) -> None:
    """Until the campaign is completed and the gateway has told the end of every message."""
    screen.step("Sending", screen.legend())
    begun = time.monotonic()
    doubted = 0

    def look() -> Mapping[str, Any] | None:
        nonlocal doubted
        report: dict[str, Any] = world.client.get(f"/v1/campaigns/{campaign_id}/report")
        counts = report["counts"]
        doubted = max(doubted, counts["unconfirmed"])
        settled = report["status"] == "completed" and not any(counts[status] for status in UNDER_WAY)
        screen.progress(counts, last=settled)
        return report if settled else None

    _wait(world, look, seconds=CAMPAIGN_SECONDS, what="The campaign did not settle")
    screen.step("", f"done in {time.monotonic() - begun:.1f} s")
    if doubted:
        screen.step(
            "",
            f"up to {doubted} were in doubt at a time, because the gateway had hung up on them; its receipts told "
            "what became of them, and none was sent again on a guess",
        )


def _report(screen: Screen, world: World, campaign_id: str) -> Evidence:
    report = world.client.get(f"/v1/campaigns/{campaign_id}/report")
    segments = _counted(report["segments"], "segment")
    screen.step(
        "Report",
        f"'{report['name']}' is {report['status']}: {report['recipients']:,} recipients, {segments}",
        *table(report["counts"]),
    )
    rows = world.client.pages(f"/v1/campaigns/{campaign_id}/messages")
    evidence = compare(report, rows, read_ledger(world.simulator.ledger_path))
    told = world.simulator.stats()["callbacks"]["sent"]
    screen.step("Receipts", f"{told:,} told by the gateway, in any order and some twice")
    screen.step(
        "Ledger",
        f"the simulator wrote down {evidence.accepted:,} messages it took: "
        f"lost {evidence.lost}, duplicated {evidence.duplicated}",
    )
    if evidence.broken:
        raise DemoFailed("The ledgers disagree. " + " ".join(evidence.broken))
    return evidence


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _unless(answer: dict[str, Any], *, status: Sequence[str]) -> dict[str, Any] | None:
    return None if answer["status"] in status else answer


def _wait(
    world: World, look: Callable[[], Mapping[str, Any] | None], *, seconds: float, what: str
) -> Mapping[str, Any]:
    """What `look` finds at last, while all processes live."""
    give_up = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        world.check()
        if time.monotonic() > give_up:
            raise DemoFailed(f"{what} within {seconds:g} s.")
        time.sleep(0.15)


def main(*, commands: Sequence[Command] = COMMANDS) -> int:
    # Whoever starts it in the background of a shell hands down an ignored SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    screen = Screen(sys.stdout)
    state = Path(tempfile.mkdtemp(prefix="lapwing-demo-"))
    try:
        tell(screen, state, commands=commands)
    except (DemoFailed, ServerFailed, SimulatorError) as failure:
        sys.stderr.write(f"\nThe demo failed. {failure}\nIts logs are kept in {state}.\n")
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(state, ignore_errors=True)
        sys.stderr.write("\nThe demo was stopped; nothing of it is left.\n")
        return INTERRUPTED
    shutil.rmtree(state, ignore_errors=True)
    screen.step(
        "Next",
        "make run    the service itself, with its documentation at http://127.0.0.1:8000/docs",
        "make chaos  the same promise under kill -9",
        "README.md   how to send from your own product",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
