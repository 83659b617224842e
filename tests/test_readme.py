"""The README is true: its examples run as they stand against `make run`, in order, and its links lead somewhere."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from shared.domain import campaign, message
from tests.served import Service, service

__all__ = ["service"]

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/**/*.md")})
# A refusal has to fail the example, as a reader would take it for a failure.
PREAMBLE = 'set -euo pipefail\ncurl() { command curl --fail-with-body --max-time 30 "$@"; }\n'


def blocks(language: str, text: str = README) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for named, block in found if named == language]


def examples() -> list[str]:
    """Every shell block that calls the service, in order."""
    return [block for block in blocks("bash") if "curl " in block]


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="the examples need curl and jq")
def test_the_examples_run_as_they_stand(service: Service, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", PREAMBLE + "\n".join(examples())],  # noqa: S607 - whichever bash a reader has
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "LAPWING_URL": service.url, "LAPWING_KEY": service.key},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hi Amara, spring has come to Delft." in done.stdout
    assert '"recipients": 6' in done.stdout
    assert "scheduled" in done.stdout
    assert "too short" in done.stdout  # of the row that was not imported
    assert "null" not in done.stdout.split("resend_of")[1].split("\n")[0]


def test_there_are_examples() -> None:
    assert len(examples()) >= 10
    assert "make demo" in README[:600]
    assert "make test" in README[:600]


def test_every_status_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert set(message.Status) <= set(rows)
    sentence = re.search(r"^A campaign is (`.*?)\.", README, re.MULTILINE | re.DOTALL)
    assert sentence
    assert set(re.findall(r"`(\w+)`", sentence[1])) == set(campaign.Status)


def test_the_layout_names_what_is_there() -> None:
    layout = next(block for block in blocks("") if block.startswith("api/"))
    named = {line.split("/")[0] for line in layout.splitlines()}
    for folder in named:
        assert (ROOT / folder).is_dir()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= named


def test_the_stack_drawn_is_the_stack_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == ["shared"])
    assert blocks("", (ROOT / "shared/README.md").read_text())[0].splitlines() == layers


def test_every_decision_is_listed_and_whole() -> None:
    folder = ROOT / "docs/decisions"
    pages = sorted(folder.glob("0*.md"))
    listed = re.findall(r"\]\((0[^)]+)\)", (folder / "README.md").read_text())
    assert listed == [page.name for page in pages]
    for number, page in enumerate(pages, start=1):
        assert page.name.startswith(f"{number:04}-")
        headings = re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Alternatives"], page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_named_exist(page: Path) -> None:
    """A path in backticks is a file or folder here, or is spelled with a placeholder."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for path in re.findall(r"`((?:api|dispatcher|shared|deploy|proof|tests|migrations|docs)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), f"{page.name} names {path}"
