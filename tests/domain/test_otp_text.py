"""The words around a code: its place stays open, and the line for browsers is as they want it."""

import pytest

from shared.domain.otp_text import (
    USUAL_TEXT,
    InvalidOtpText,
    InvalidWebDomain,
    check_size,
    compose,
    fill,
    measure_filled,
    read_domain,
    read_template,
)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param(USUAL_TEXT, USUAL_TEXT, id="the usual one"),
        pytest.param("{{code}}", "{{ code }}", id="the code alone"),
        pytest.param("  Code: {{   code  }}\n", "Code: {{ code }}", id="spaces go"),
        pytest.param("{{code}} for {{minutes}} min", "{{ code }} for {{ minutes }} min", id="how long"),
        pytest.param("{ {{code}} }", "{ {{ code }} }", id="braces that are none of a tag"),
    ],
)
def test_a_template_is_kept_in_one_form(given: str, kept: str) -> None:
    assert read_template(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("Welcome", id="no code"),
        pytest.param("{{ code }} or {{ code }}", id="twice"),
        pytest.param("{{ code }} for {{ name }}", id="a tag of campaigns"),
        pytest.param("{{ code }} {{ code.x }}", id="an attribute"),
        pytest.param("{{ code", id="not closed"),
        pytest.param("{{ code }} {% if x %}", id="a statement"),
        pytest.param("{{ code }} {# note #}", id="a comment"),
        pytest.param("{{ code }} {{ }}", id="an empty tag"),
        pytest.param("", id="empty"),
    ],
)
def test_no_template(given: str) -> None:
    with pytest.raises(InvalidOtpText):
        read_template(given)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("login.example.com", "login.example.com"),
        (" Login.Example.COM ", "login.example.com"),
        ("@example.com", "example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_domain_is_kept_in_one_form(given: str, kept: str) -> None:
    assert read_domain(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        *(
            "https://example.com",
            "example.com/login",
            "example.com:8443",
            "example",
            "b\u00fccher.example",
            "-a.example",
        ),
        *(
            "a b.example",
            "a..example",
            "example.com #123456",
            "",
            "a" * 64 + ".example",
            ("a" * 60 + ".") * 5 + "example",
        ),
    ],
)
def test_no_domain(given: str) -> None:
    with pytest.raises(InvalidWebDomain):
        read_domain(given)


def test_without_a_domain_the_text_is_all() -> None:
    text = compose(USUAL_TEXT, ttl_seconds=600, web_domain=None)
    assert text == "Your code is {{ code }}. It is valid for 10 minutes."
    assert fill(text, "012345") == "Your code is 012345. It is valid for 10 minutes."


def test_with_a_domain_the_last_line_is_the_browsers() -> None:
    filled = fill(compose("Code {{ code }}", ttl_seconds=60, web_domain="login.example.com"), "012345")
    assert filled == "Code 012345\n\n@login.example.com #012345"


@pytest.mark.parametrize(("seconds", "told"), [(600, "10"), (90, "1"), (30, "1"), (3600, "60")])
def test_how_long_is_told_in_whole_minutes_that_it_lasts(seconds: int, told: str) -> None:
    assert compose("{{ code }} {{ minutes }}", ttl_seconds=seconds, web_domain=None) == f"{{{{ code }}}} {told}"


def test_measured_as_filled() -> None:
    """The open place is longer than a code, and its braces cost twice."""
    assert measure_filled("x" * 154 + "{{ code }}", length=6).segments == 1
    assert measure_filled("x" * 154 + "{{ code }}", length=7).segments == 2


def test_a_text_of_many_segments_is_refused() -> None:
    check_size("{{ code }}" + "x" * 440, length=6, ttl_seconds=600, web_domain=None)
    with pytest.raises(InvalidOtpText, match="4 segments"):
        check_size("{{ code }}" + "x" * 460, length=6, ttl_seconds=600, web_domain=None)
