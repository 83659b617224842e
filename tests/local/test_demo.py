"""`make demo` as a stranger runs it, its sample file, what it shows, and that it can fail."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.local import demo_contacts
from deploy.local.demo_evidence import compare
from deploy.local.demo_screen import MEANINGS, SETTLED, UNDER_WAY, Screen, table
from deploy.simulator.ledger import ACCEPTED, REFUSED, Entry
from shared.domain.message import Status

ROOT = Path(__file__).resolve().parents[2]
DEMO = (sys.executable, "-m", "deploy.local.demo")

# The demo with an api that ends at once.
WITHOUT_API = """
import sys
from deploy.local import demo, demo_world
from deploy.local.supervisor import Command
dead = Command("api", [sys.executable, "-c", "import sys; sys.exit('no api today')"])
sys.exit(demo.main(commands=(dead, *demo_world.COMMANDS[1:])))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A temporary directory of its own, with a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="lw-"))
    path.chmod(0o755)  # under root Postgres is another user, and has to come through
    yield path
    shutil.rmtree(path)


def environment(place: Path) -> Mapping[str, str]:
    """With settings of somebody's real service, which the demo must not touch."""
    return {
        **os.environ,
        "TMPDIR": str(place),
        "LAPWING_STATE_DIR": str(place / "precious"),
        "LAPWING_DATABASE_URL": "postgresql+asyncpg://nobody@/nothing",
        "LAPWING_REDIS_URL": "redis://127.0.0.1:1",
        "LAPWING_PORT": "1",
    }


def test_it_sends_a_thousand_and_leaves_nothing_behind(place: Path) -> None:
    done = subprocess.run(
        DEMO, cwd=ROOT, env=environment(place), capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    assert "1,012 rows, 1,005 imported, 7 rejected" in done.stdout
    assert "holds 1,000 contacts" in done.stdout
    assert "Hi Amara Abbott, thanks for 2 visits in Seattle!" in done.stdout
    assert done.stdout.count("waiting ·") >= 2, "progress is told into a pipe, too"
    counts = dict(re.findall(r"^ +([\d,]+)  (\w+)", done.stdout.partition("Report")[2], re.MULTILINE))
    said = {status: int(count.replace(",", "")) for count, status in counts.items()}
    assert sum(said.values()) - said.pop("in") == 1_000
    assert said["skipped"] == 1
    assert said["delivered"] > 900
    assert "999 messages it took: lost 0, duplicated 0" in done.stdout
    assert "make run" in done.stdout
    assert not list(place.iterdir())


def test_a_process_that_dies_ends_it_with_a_sentence(place: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-c", WITHOUT_API),
        cwd=ROOT,
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "The demo failed. The api process ended with code 1:\n  no api today\n" in done.stderr
    assert "Traceback" not in done.stderr
    kept = re.search(r"Its logs are kept in (\S+)\.", done.stderr)
    assert kept
    assert Path(kept[1], "api.log").read_text() == "no api today\n"


def test_ctrl_c_ends_it_and_leaves_nothing_behind(place: Path) -> None:
    process = subprocess.Popen(
        DEMO, cwd=ROOT, env=environment(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Gateway"):
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "\nThe demo was stopped; nothing of it is left.\n"
    give_up = time.monotonic() + 10
    while list(place.iterdir()) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert not list(place.iterdir())


def test_the_sample_is_a_thousand_people_who_do_not_exist() -> None:
    sample = demo_contacts.make_sample()
    assert sample == demo_contacts.make_sample()
    assert len(set(sample.msisdns)) == demo_contacts.PEOPLE
    assert all(re.fullmatch(r"\+1\d{3}55501\d\d|\+447700900\d{3}", msisdn) for msisdn in sample.msisdns)
    lines = sample.data.decode("utf-8-sig").split("\r\n")
    assert len(lines) == sample.rows + 2
    assert sample.rows == demo_contacts.PEOPLE + demo_contacts.REPEATED + demo_contacts.REJECTED
    for row in re.findall(r"\+\d{8,}", sample.data.decode()):
        assert re.fullmatch(r"\+1\d{3}55501\d\d|\+447700900\d{3}", row)


def entry(m: str, *, to: str = "+12025550142", text: str = "", kind: str = ACCEPTED) -> Entry:
    return Entry(kind=kind, time=0.0, m=m, to=to, body_sha256=text or m)


def report(*, recipients: int = 2, **counts: int) -> dict[str, Any]:
    return {"recipients": recipients, "messages": [{}], "counts": counts}


TWO = [{"id": "a", "status": "delivered"}, {"id": "b", "status": "skipped"}]


def test_ledgers_that_agree() -> None:
    found = compare(report(delivered=1, skipped=1), TWO, [entry("a"), entry("b", kind=REFUSED)])
    assert (found.accepted, found.lost, found.duplicated, found.denied) == (1, 0, 0, 0)
    assert not found.broken


@pytest.mark.parametrize(
    ("counts", "ledger", "words"),
    [
        pytest.param({"delivered": 1, "skipped": 1}, [], "never had them", id="lost"),
        pytest.param({"delivered": 1, "skipped": 1}, [entry("a"), entry("a")], "more than once", id="taken twice"),
        pytest.param(
            {"delivered": 1, "skipped": 1},
            [entry("a", text="Hi"), entry("x", text="Hi")],
            "more than once",
            id="the same words to the same number under another id",
        ),
        pytest.param({"delivered": 1, "skipped": 1}, [entry("a"), entry("b")], "not sent", id="denied"),
        pytest.param({"delivered": 1}, [entry("a")], "add up to 1, not to 2", id="does not add up"),
        pytest.param({"delivered": 2}, [entry("a")], "2 delivered", id="report and list differ"),
    ],
)
def test_ledgers_that_disagree(counts: dict[str, int], ledger: list[Entry], words: str) -> None:
    assert any(words in sentence for sentence in compare(report(**counts), TWO, ledger).broken)


class Out(io.StringIO):
    """A stream that is a terminal, or not, and has an encoding."""

    def __init__(self, *, live: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._live = live
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute there
        return self._encoding

    def isatty(self) -> bool:
        return self._live


HALF = {"queued": 250, "submitted": 250, "delivered": 500}


def test_the_bar_is_drawn_over_itself_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    out = Out(live=True)
    screen = Screen(out)
    screen.progress(HALF)
    screen.progress({"delivered": 1_000}, last=True)
    first, second = out.getvalue().split("\r")[1:]
    assert first.startswith("█" * 20 + "▒" * 10 + "░" * 10)
    assert second.startswith("█" * 40)
    assert out.getvalue().count("\n") == 1


def test_the_bar_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = Out(live=True)
    Screen(out).progress(HALF)
    assert len(out.getvalue().strip("\r").removesuffix("\x1b[K")) < 80
    assert "500 delivered" in out.getvalue()


def test_a_pipe_gets_a_line_now_and_then() -> None:
    out = Out(live=False, encoding="ascii")
    screen = Screen(out)
    for _ in range(50):
        screen.progress(HALF)
    screen.progress(HALF, last=True)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("#" * 20 + "=" * 10 + "." * 10)
    assert "\r" not in out.getvalue()


def test_every_status_has_its_place_and_its_words() -> None:
    assert set(MEANINGS) == set(Status)
    assert set(Status) == SETTLED | UNDER_WAY | {"queued"}
    assert not SETTLED & UNDER_WAY
    assert table({"delivered": 998, "failed": 0, "skipped": 2})[-1].split() == ["1,000", "in", "all"]
