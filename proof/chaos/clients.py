"""What clients hand in survives too: an api killed under their requests, an import killed in the middle of its file."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from proof.chaos.trial import Finding, Plan, conclude
from proof.client import new_key
from proof.numbers import fictional
from proof.promises import Promises, await_import, make_group
from proof.world import Shape, World

NAME: Final = "api and imports killed"
CLIENTS: Final = 8
REQUESTS: Final = 2_000
API_KILLS: Final = 10
PAUSE_SECONDS: Final = (0.3, 1.5)
ROWS: Final = 20_000
IMPORT_SECONDS: Final = 240.0
SHAPE: Final = Shape(dispatchers=1, latency_ms=10.0)

_IMPORTED = "SELECT coalesce(sum(rows_imported + rows_rejected), 0) FROM imports"


def run(plan: Plan) -> Finding:
    """The import is taken up by itself while the api is killed."""
    finding = Finding(NAME, "kill")
    chance = plan.chance(NAME)
    with World(SHAPE, keep=plan.keep) as world:
        promises = Promises()
        upload = Upload(world, plan.size(ROWS))
        upload.kill_in_the_middle(finding)
        _kill_api(world, promises, finding, plan=plan, chance=chance)
        upload.check(finding)
        conclude(world, promises, finding)
    return finding


class Upload:
    """A file with good rows, rows that cannot be read, and numbers that come twice."""

    def __init__(self, world: World, rows: int) -> None:
        self._world = world
        self.bad = rows // 20
        self.twice = rows // 20
        self.different = rows - self.bad - self.twice
        numbers = fictional(self.different)
        rejected = [f"not a number {n}" for n in range(self.bad)]
        lines = [*numbers, *rejected, *numbers[: self.twice]]
        random.Random(rows).shuffle(lines)
        data = "\n".join(["msisdn,name", *(f"{line},Person" for line in lines)]) + "\n"
        self.group_id = make_group(world, "everybody")
        answer = world.api.upload("/v1/contacts/import", data.encode(), target_group_id=self.group_id)
        self.id = str(answer["id"])

    def kill_in_the_middle(self, finding: Finding) -> None:
        give_up = time.monotonic() + 30.0
        while self._world.count(_IMPORTED) == 0 and time.monotonic() < give_up:
            time.sleep(0.01)
        self._world.dispatchers[-1].kill()
        finding.trials += 1
        finding.figures["import killed after row"] = self._world.count(_IMPORTED)
        self._world.start_dispatcher()

    def check(self, finding: Finding) -> None:
        begun = time.monotonic()
        done = await_import(self._world, self.id, seconds=IMPORT_SECONDS)
        finding.figures["import taken up and done after, s"] = round(time.monotonic() - begun, 1)
        told = (done["status"], done["rows_total"], done["rows_imported"], done["rows_rejected"])
        stored = self._world.count("SELECT count(*) FROM contacts")
        members = self._world.count("SELECT count(*) FROM target_group_members")
        rejections = self._world.count("SELECT count(*) FROM import_errors")
        good = self.different + self.twice
        expected = ("completed", good + self.bad, good, self.bad)
        finding.figures["rows imported, rejected"] = f"{told[2]}, {told[3]}"
        finding.require(told == expected, f"the import says {told}, and should say {expected}")
        kept = (stored, members, rejections)
        finding.require(
            kept == (self.different, self.different, self.bad),
            f"contacts, members, rejections are {kept}, not {(self.different, self.different, self.bad)}",
        )


def _kill_api(world: World, promises: Promises, finding: Finding, *, plan: Plan, chance: random.Random) -> None:
    """Clients post with an Idempotency-Key and ask again until they are answered, while the api dies and comes back."""
    numbers = fictional(500, skip=30_000)
    requests = plan.size(REQUESTS)

    def post(number: int) -> str:
        return promises.send(world.api, numbers[number % 500], f"request {number}", seconds=120.0, key=new_key())

    kills = plan.times(API_KILLS)
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = [clients.submit(post, number) for number in range(requests)]
        for _ in range(kills):
            time.sleep(chance.uniform(*PAUSE_SECONDS))
            if all(one.done() for one in asked):
                break
            world.api_process.kill()
            finding.trials += 1
            world.start_api()
        answers = [one.result() for one in asked]
    finding.figures |= {"requests": requests, "api kills": finding.trials - 1}
    finding.require(len(set(answers)) == requests, f"{requests} requests were answered with {len(set(answers))} ids")
