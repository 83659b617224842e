"""docs/webhooks.md, held to the code: every event is listed, and the receivers shown tell ours from forgeries."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from shared.domain.event import EventType
from shared.domain.webhook import TRIES, WAITS
from shared.domain.webhook_signature import secret_text, signature_headers

PAGE: Final = (Path(__file__).parents[1] / "docs/webhooks.md").read_text()
BODY: Final = '{"type":"message.delivered","data":{"text":"für dich 😀"}}'.encode()
NEW, OLD, OTHER = (bytes([number]) * 32 for number in (1, 2, 3))


def block(language: str, name: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(?:#|//) {name}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def headers(*secrets: bytes, age: int = 0, body: bytes = BODY) -> dict[str, str]:
    return dict(signature_headers(secrets, event_id="evt-1", timestamp=int(time.time()) - age, body=body))


# Made when they are used: signatures grow old.
Given = Callable[[], dict[str, str]]
CASES = [
    pytest.param(lambda: headers(NEW), True, id="signed"),
    pytest.param(lambda: headers(OTHER, NEW), True, id="signed by two"),
    pytest.param(lambda: headers(OTHER), False, id="by another"),
    pytest.param(lambda: headers(NEW, body=BODY + b" "), False, id="another body"),
    pytest.param(lambda: headers(NEW, age=400), False, id="replayed"),
    pytest.param(lambda: headers(NEW, age=-400), False, id="from the future"),
    pytest.param(lambda: headers(NEW) | {"webhook-id": "evt-2"}, False, id="another id"),
    pytest.param(lambda: headers(NEW) | {"webhook-signature": "v1,"}, False, id="unsigned"),
]


def test_every_event_is_listed() -> None:
    listed = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", PAGE, re.MULTILINE)
    assert listed == list(EventType)


def test_waits_are_those_of_the_law() -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    (sentence,) = re.findall(r"tried again after (.*?), each", PAGE)
    told = [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", sentence)]
    assert told == [wait.total_seconds() for wait in WAITS]
    assert f"refused an event {'ten' if TRIES == 10 else TRIES} times" in PAGE


@pytest.mark.parametrize(("given", "is_ours"), CASES)
@pytest.mark.parametrize("name", ["with-library", "without-library"])
def test_python_receiver(name: str, given: Given, is_ours: bool) -> None:
    scope: dict[str, Any] = {}
    exec(block("python", name), scope)  # noqa: S102 - the page's own lines
    if is_ours:
        assert scope["receive"](secret_text(NEW), given(), BODY) == json.loads(BODY)
    else:
        with pytest.raises(Exception, match=r".") as refusal:
            scope["receive"](secret_text(NEW), given(), BODY)
        assert type(refusal.value).__name__ in {"ValueError", "WebhookVerificationError"}


@pytest.mark.parametrize("name", ["with-library", "without-library"])
def test_python_receiver_takes_names_of_headers_in_any_case(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(block("python", name), scope)  # noqa: S102 - the page's own lines
    given = {header.title(): value for header, value in headers(NEW).items()}  # as http.server has them
    assert "Webhook-Id" in given
    assert scope["receive"](secret_text(NEW), given, BODY) == json.loads(BODY)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to run JavaScript")
@pytest.mark.parametrize(("given", "is_ours"), CASES)
def test_javascript_receiver(tmp_path: Path, given: Given, is_ours: bool) -> None:
    script = tmp_path / "receiver.mjs"
    call = f"receive({json.dumps(secret_text(NEW))}, {json.dumps(given())}, Buffer.from({json.dumps(BODY.decode())}))"
    script.write_text(f"{block('javascript', 'without-library')}\nconsole.log(JSON.stringify({call}));\n")
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run([node, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode == 0) is is_ours, done.stderr
    if is_ours:
        assert json.loads(done.stdout) == json.loads(BODY)
    else:
        assert re.search(r"Error: (not signed|too old)", done.stderr), done.stderr
