"""Whether a large campaign or import costs more a row, in all of its processes, or more memory, than a small one."""

import csv
import io
import threading
import time
from typing import Any, Final, Self

import psutil

from deploy.local.servers import Postgres
from proof.bench import seeding
from proof.bench.sending import SHAPE
from proof.evidence import Stuck
from proof.processes import Process
from proof.world import World

SAMPLE_SECONDS: Final = 0.1


def measure(small: int, large: int) -> dict[str, Any]:
    """scale_cost_ratio and scale_rss_ratio for campaigns, import_rss_ratio for CSV files, large over small."""
    with World(SHAPE) as world:
        seeding.quiet_gateway(world)
        everyone = seeding.add_people(world, large, group="everyone")
        some = seeding.add_people(world, small, group="some")
        little = _campaign(world, some, name="small")
        much = _campaign(world, everyone, name="large")
    with World(SHAPE) as world:
        few = _import(world, small, name="small")
        many = _import(world, large, name="large")
    return {
        "ratios": {
            "scale_cost_ratio": (_cost(much) / large) / (_cost(little) / small),
            "scale_rss_ratio": much["rss"] / little["rss"],
            "import_rss_ratio": many["rss"] / few["rss"],
            "import_api_rss_ratio": many["api_rss"] / few["api_rss"],
        },
        "raw": {
            "campaign_cpu_microseconds": [round(little["cpu"] / small * 1e6), round(much["cpu"] / large * 1e6)],
            "campaign_postgres_microseconds": [
                round(little["postgres"] / small * 1e6),
                round(much["postgres"] / large * 1e6),
            ],
            "campaign_rss_mb": [round(little["rss"] / 1e6, 1), round(much["rss"] / 1e6, 1)],
            "import_rss_mb": [round(few["rss"] / 1e6, 1), round(many["rss"] / 1e6, 1)],
            "import_api_rss_mb": [round(few["api_rss"] / 1e6, 1), round(many["api_rss"] / 1e6, 1)],
            "import_rows_per_second": round(large / many["seconds"]),
        },
    }


def _campaign(world: World, group: str, *, name: str) -> dict[str, float]:
    """Processor seconds of the dispatcher and of Postgres, and the dispatcher's highest memory, over one campaign."""
    watched, postgres = Watched(world.dispatchers[0]), Watched(world.postgres)
    campaign = seeding.start_campaign(world, group, name=name)
    while world.api.get(f"/v1/campaigns/{campaign}")["status"] != "completed":
        watched.look()
        time.sleep(SAMPLE_SECONDS)
    return {"cpu": watched.cpu(), "postgres": postgres.cpu(), "rss": watched.rss}


def _cost(campaign: dict[str, float]) -> float:
    return campaign["cpu"] + campaign["postgres"]


def _import(world: World, rows: int, *, name: str) -> dict[str, float]:
    dispatcher, api = Watched(world.dispatchers[0]), Watched(world.api_process)
    begun = time.monotonic()
    id_ = world.api.upload("/v1/contacts/import", _csv(rows), default_region="US")["id"]
    while True:
        dispatcher.look()
        api.look()
        told = world.api.get(f"/v1/imports/{id_}")
        if told["status"] in {"completed", "failed"}:
            break
        time.sleep(SAMPLE_SECONDS)
    if told["rows_imported"] != rows:
        raise Stuck(f"the {name} import of {rows} rows ended as {told}")
    return {"rss": dispatcher.rss, "api_rss": api.rss, "seconds": time.monotonic() - begun}


def _csv(rows: int) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["phone", "name", "city"])
    writer.writerows([f"+1555{n:07}", f"Name {n}", f"City {n % 100}"] for n in range(rows))
    return file.getvalue().encode()


class Watched:
    """A process and its children: processor time since now, and the highest memory seen; `with` keeps looking."""

    def __init__(self, process: Process | Postgres) -> None:
        self._process = psutil.Process(process.pid)
        self.rss = 0
        self._begun = self._spent()
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._over.set()
        self._looking.join()

    def _look_on(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.look()

    def look(self) -> None:
        family = [self._process, *self._process.children(recursive=True)]
        self.rss = max(self.rss, sum(one.memory_info().rss for one in family))

    def cpu(self) -> float:
        return self._spent() - self._begun

    def _spent(self) -> float:
        """Of all of them; the first one knows what its children spent that are gone."""
        family = [self._process.cpu_times(), *(one.cpu_times() for one in self._process.children(recursive=True))]
        return sum(one.user + one.system for one in family) + family[0].children_user + family[0].children_system
