"""The pages about gateways are true: every setting, placeholder and preset is there, and every example is taken."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from api.gateways.schemas import GatewayIn
from shared.domain import breaker, pace, routing
from shared.domain.balance import check_of
from shared.domain.message import Status
from shared.domain.outcome import Fault
from shared.gateways import ADAPTERS, custom
from shared.gateways.custom.account import LONGEST_TEXT
from shared.gateways.custom.placeholders import NAMES
from shared.gateways.custom.presets import PRESETS, expanded
from shared.gateways.custom.script_calls import MOST_BYTES
from shared.gateways.smsportal.codes import STATUS_OF as SMSPORTAL_STATUS_OF
from shared.gateways.twilio.codes import FAULT_OF_CODE, IN_DOUBT
from shared.gateways.twilio.codes import STATUS_OF as TWILIO_STATUS_OF
from shared.scripts.runtime import Limits as BoundsOfScripts
from shared.scripts.words import DEEPEST, MOST_ANSWER_BYTES, MOST_ARGUMENT_BYTES
from tests.gateways.custom.settings import SETTINGS_OF_ALL_KINDS

PAGES = Path(__file__).parents[2] / "docs/gateways"
CUSTOM, PRESET_PAGE = (PAGES / "custom.md").read_text(), (PAGES / "presets.md").read_text()


def gateways() -> Iterator[Any]:
    """Every gateway that a page makes, in a call or on its own."""
    for page in sorted(PAGES.glob("*.md")):
        for block in re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
            for text in [*re.findall(r"-d '(\{.*?\})'", block, re.DOTALL), block]:
                if text.startswith("{") and '"kind"' in text and "msisdn" not in text:
                    yield pytest.param(json.loads(text), id=page.stem)


@pytest.mark.parametrize("body", list(gateways()))
def test_examples_are_taken(body: dict[str, Any]) -> None:
    settings = expanded(body["preset"], body["settings"]) if "preset" in body else body["settings"]
    assert ADAPTERS[body["kind"]].check_settings(settings, body["secrets"])


@pytest.mark.parametrize("body", list(gateways()))
def test_examples_are_whole_requests(body: dict[str, Any]) -> None:
    GatewayIn.model_validate(body)
    assert check_of(body.get("balance_check")) is not None or "balance_check" not in body


def test_there_are_examples() -> None:
    assert len(list(gateways())) >= 3


def names(value: Any) -> Iterator[str]:
    for name, inner in value.items():
        yield name
        if isinstance(inner, dict) and name != "statuses":
            yield from names(inner)


def test_every_setting_is_explained() -> None:
    missing = {name for name in names(SETTINGS_OF_ALL_KINDS) if not re.search(rf"[`\"]{name}[`\"]", CUSTOM)}
    assert missing == set()


def test_every_placeholder_is_explained() -> None:
    assert [name for name in NAMES if f"`%{name}" not in CUSTOM] == []


def test_every_preset_is_listed() -> None:
    for name, preset in PRESETS.items():
        assert PRESET_PAGE.count(f"| `{name}` |") == 2, name
        assert f"[{preset.title}]({preset.documentation})" in PRESET_PAGE
        assert all(f"`{secret}`" in PRESET_PAGE for secret in preset.secrets)


WORDS_OF_SECONDS = {600: "ten minutes", 21_600: "six hours"}


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_preset_repeats_is_told_and_for_how_long(name: str) -> None:
    """In its row of what to set at the vendor's; and of no other that it does."""
    row = PRESET_PAGE.split(f"| `{name}` |")[2].split("\n")[0]
    rule = PRESETS[name].settings.get("deduplication")
    assert ("what is in doubt is repeated" in row) is (rule is not None)
    assert [words for words in WORDS_OF_SECONDS.values() if f"for {words}" in row] == (
        [WORDS_OF_SECONDS[rule["window"]]] if rule else []
    )


TOLD_OF = sorted(page.stem for page in PAGES.glob("*.md") if page.stem in ADAPTERS.keys() - {custom.KIND})


def test_the_first_vendors_are_told_of() -> None:
    assert {"smsportal", "twilio"} <= set(TOLD_OF)


@pytest.mark.parametrize("kind", TOLD_OF)
def test_a_vendor_s_page_has_an_example_and_every_setting(kind: str) -> None:
    page, table = (PAGES / f"{kind}.md").read_text(), import_module(f"tests.gateways.{kind}")
    assert f'"kind": "{kind}"' in page
    taken = [case for case in table.SETTINGS if case.stored is not None]
    known = {name for case in taken for name in (*case.stored, *case.secrets)}
    assert len(known) > 5
    assert {name for name in known if f"`{name}`" not in page} == set()


def told_as(page: str, status: str) -> set[str]:
    """The words that a page's table says become this status."""
    rows = re.findall(rf"^\| (`.*`) \| `{status}`(?:,.*)? \|$", page, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize(("kind", "words"), [("twilio", TWILIO_STATUS_OF), ("smsportal", SMSPORTAL_STATUS_OF)])
def test_every_word_of_a_receipt_is_told(kind: str, words: dict[str, Status]) -> None:
    page = (PAGES / f"{kind}.md").read_text()
    for status in set(words.values()):
        named = {word.lower() for word in told_as(page, str(status))}
        assert named == {word for word, meant in words.items() if meant is status}, status


THEN = {
    Fault.ACCOUNT: "the gateway is withdrawn",
    Fault.OPTED_OUT: "`failed`, and joins the opt-outs",
    Fault.THROTTLED: "later",
    Fault.GATEWAY: "the next gateway is asked",
    Fault.MESSAGE: "`failed` |",
}


def test_every_code_of_twilio_is_told() -> None:
    rows = re.findall(r"^\| ((?:`\d{5}` ?)+) \| (.*)$", (PAGES / "twilio.md").read_text(), re.MULTILINE)
    told = {code: then for codes, then in rows for code in re.findall(r"\d{5}", codes)}
    assert told.keys() == FAULT_OF_CODE.keys() | IN_DOUBT
    for code, fault in FAULT_OF_CODE.items():
        assert THEN[fault] in told[code], code
    assert all("`unconfirmed`" in told[code] for code in IN_DOUBT)


def test_the_limits_of_scripts_are_told() -> None:
    page, limits = (PAGES / "lua.md").read_text(), BoundsOfScripts()
    for said in (f"{LONGEST_TEXT:,} characters", f"{limits.instructions:,}", f"{limits.seconds * 1000:.0f} ms"):
        assert said in page, said
    assert f"{limits.memory // 1_000_000} MB" in page
    assert f"{MOST_ANSWER_BYTES // 1024} KiB of JSON, {DEEPEST} levels" in page
    assert f"{MOST_ARGUMENT_BYTES // 1024} KiB of JSON" in page
    assert f"{MOST_BYTES:,} bytes" in page


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(f"{breaker.IN_A_ROW} hand-overs in a row failed", id="in a row"),
        pytest.param(f"half of at least {breaker.AT_LEAST} within a minute", id="share"),
        pytest.param(f"refused {breaker.REFUSED_IN_A_ROW} messages in a row", id="refused"),
        pytest.param(f"{breaker.SLOW_SHARE * 100:.0f} % of at least {breaker.AT_LEAST} answers", id="slow"),
        pytest.param(f"its rest: {breaker.REST_SECONDS:.0f} s, doubled", id="rest"),
        pytest.param(f"{breaker.REST_CAP_SECONDS / 60:.0f} minutes at most", id="longest rest"),
        pytest.param(f"{breaker.PROBES} taken in a row make it `ok`", id="trials"),
        pytest.param(f"every {routing.THROTTLE_MADE_UP_BY} messages it takes make up for one", id="made up"),
        pytest.param(f"says so again within {routing.THROTTLE_MEMORY_SECONDS:.0f} s", id="again"),
        pytest.param(f"up to {routing.THROTTLE_PATIENCE_SECONDS:.0f} s for a throttled gateway", id="patience"),
    ],
)
def test_figures_of_health_are_those_of_the_law(words: str) -> None:
    assert words in " ".join((PAGES / "health-and-pace.md").read_text().split())


def test_other_figures_of_health_and_pace_are_those_of_the_law() -> None:
    """What the page says in words."""
    assert (breaker.SHARE, breaker.SLOW_SHARE_OF_DEADLINE, breaker.WINDOW_SECONDS) == (0.5, 0.5, 60)
    assert (breaker.SLOW_REST_SECONDS, breaker.PATIENCE_SECONDS, breaker.UNUSED_SECONDS) == (60, 300, 1)
    assert (routing.THROTTLE_BASE_SECONDS, routing.THROTTLE_CAP_SECONDS) == (0.1, 60)
    assert (pace.SLICE_SECONDS, pace.URGENT_SHARE) == (1 / 20, 0.1)
    assert [pace.kept_for_urgent(requests) for requests in (1, 2, 10, 20)] == [0, 1, 1, 2]
