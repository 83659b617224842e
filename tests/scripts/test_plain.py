"""A child is not believed: what it says is plain data, a known failure, or broken words."""

import json
from typing import Any

import pytest

from shared.children.parent import ChildDied
from shared.scripts.failures import Reason, ScriptFailed
from shared.scripts.plain import value_of
from shared.scripts.words import FAILED, READY, VALUE


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


VALUES = [
    pytest.param(b'"x"', "x", id="a string"),
    pytest.param(b"null", None, id="nothing"),
    pytest.param(b'{"a":[1,null,true,1.5]}', {"a": [1, None, True, 1.5]}, id="an object"),
    pytest.param(nested(16), json.loads(nested(16)), id="as deep as may be"),
]


@pytest.mark.parametrize(("payload", "value"), VALUES)
def test_plain_values_pass(payload: bytes, value: Any) -> None:
    assert value_of((VALUE, payload), "") == value


LIES = [
    pytest.param(VALUE, b"", id="nothing"),
    pytest.param(VALUE, b"5", id="a number"),
    pytest.param(VALUE, b"true", id="a boolean"),
    pytest.param(VALUE, b"[NaN]", id="NaN"),
    pytest.param(VALUE, b"[-Infinity]", id="infinity"),
    pytest.param(VALUE, b"[" + b"9" * 5_000 + b"]", id="a number of thousands of digits"),
    pytest.param(VALUE, b'"\xff"', id="not UTF-8"),
    pytest.param(VALUE, b'"\\ud800"', id="half a surrogate pair"),
    pytest.param(VALUE, b'"\\uD800"', id="the same in capitals"),
    pytest.param(VALUE, nested(17), id="too deep"),
    pytest.param(VALUE, nested(30_000), id="far too deep"),
    pytest.param(VALUE, b'"x" "y"', id="two values"),
    pytest.param(FAILED, b"no-such-reason\n", id="an unknown reason"),
    pytest.param(READY, b"filtered", id="ready again"),
    pytest.param(b"?", b"", id="an unknown frame"),
]


@pytest.mark.parametrize(("kind", "payload"), LIES)
def test_broken_words_are_the_end_of_a_child(kind: bytes, payload: bytes) -> None:
    with pytest.raises(ChildDied):
        value_of((kind, payload), "")


def test_a_failure_is_explained_here() -> None:
    with pytest.raises(ScriptFailed) as caught:
        value_of((FAILED, b"runtime\nscript:4: no number +15550100"), "")
    assert (caught.value.reason, caught.value.detail, caught.value.line) == (Reason.RUNTIME, "it raised an error", 4)
    assert str(caught.value) == "line 4: it raised an error"
