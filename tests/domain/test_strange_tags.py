"""Tags in another service's manner: what is taken for one, which of ours was meant, and what is left alone."""

import pytest

from shared.domain.otp_text import TAGS
from shared.domain.strange_tags import find_strange, warnings
from shared.domain.template import CAMPAIGN_TAGS, TEMPLATE_TAGS, Known, compile_template


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("{name}", "name", id="one brace"),
        pytest.param("${name}", "name", id="dollar"),
        pytest.param("%NAME%", "name", id="per cent"),
        pytest.param("%%Name%%", "name", id="two per cents"),
        pytest.param("%(name)s", "name", id="Python"),
        pytest.param("*|FNAME|*", "name", id="stars"),
        pytest.param("[name]", "name", id="square"),
        pytest.param("<name>", "name", id="angle"),
        pytest.param("#name#", "name", id="hash"),
        pytest.param("%TO%", "msisdn", id="what a gateway calls it"),
        pytest.param("{Vorname}", "name", id="another language"),
        pytest.param("{first name}", "name", id="a blank in it"),
        pytest.param("{nmae}", "name", id="misspelt"),
        pytest.param("{campaign.name}", "campaign.name", id="with a dot"),
        pytest.param("{fields.plan}", "fields.plan", id="a field as we write it"),
        pytest.param("{Zählerstand}", "fields.zählerstand", id="a field of one's own"),
    ],
)
def test_is_told(written: str, meant: str) -> None:
    (found,) = find_strange(f"Dear {written}, 50% off.", known=CAMPAIGN_TAGS)
    assert (found.written, found.name) == (written, meant)
    assert found.sure is (written[0] not in "[<#")


@pytest.mark.parametrize(
    "text",
    [
        "{{ name }} and {{name|upper}}",
        '{{ "{name}" }} as it stands',
        "{# {name} #}Hello",
        "10% off, 20% for you",
        "https://example.com/?q=caf%C3%A9%20bar",
        "[Acme] <3 #spring# {} {3}",
    ],
)
def test_is_left_alone(text: str) -> None:
    assert list(find_strange(text, known=TEMPLATE_TAGS)) == []


def test_what_is_told_silences_or_fills() -> None:
    """Both remedies of the sentence are good ones: the tag is known, and the quoted one warns no more."""
    (told,) = warnings("Hi {name} and {name}", known=CAMPAIGN_TAGS)
    assert "{{ name }}" in told
    quoted = '{{ "{name}" }}'
    assert quoted in told
    assert compile_template(quoted, known=CAMPAIGN_TAGS).fill({}).text == "{name}"
    assert not list(warnings(quoted, known=CAMPAIGN_TAGS))


def test_by_what_there_is() -> None:
    assert [one.name for one in find_strange("{code} {plan}", known=TEMPLATE_TAGS)] == ["voucher.code", "voucher.plan"]
    own = TEMPLATE_TAGS | Known.of("variables.When")
    assert [one.name for one in find_strange("{when}", known=own)] == ["variables.When"]
    (told,) = warnings("{xyz}: {{ code }}", known=TAGS)
    assert "{{ code }}" in told


@pytest.mark.parametrize("text", ["{" * 1600, "{{" * 800, "%a" * 800, "[" * 1600, "{a " * 500])
def test_the_longest_are_looked_through_quickly(text: str) -> None:
    assert len(list(warnings(text, known=CAMPAIGN_TAGS))) <= 10
