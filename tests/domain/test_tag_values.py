"""The values that fill tags: a contact's, a campaign's, and variables in the place of any of them."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.domain.tag_values import InvalidVariables, read_variables, values_of
from shared.domain.tags import TAGS, Use
from shared.domain.template import CAMPAIGN_TAGS, TEMPLATE_TAGS, UnknownTag, compile_template


@dataclass(frozen=True)
class Ann:
    name: str | None = "Ann"
    external_id: str | None = "x1"
    location_id: str | None = None
    time_zone: str | None = None
    fields: dict[str, Any] = field(default_factory=lambda: {"city": "Delft", "visits": 3})


@pytest.mark.parametrize(
    ("text", "variables", "filled", "missing"),
    [
        pytest.param("{{ name }} {{ fields.city }}", {}, "Ann Delft", (), id="the contact's own"),
        pytest.param("{{ name }}", {"name": "Joe"}, "Joe", (), id="a variable in a column's place"),
        pytest.param(
            "{{ fields.city }} {{ fields.visits }}", {"fields": {"city": "Ulm"}}, "Ulm 3", (), id="in a field's"
        ),
        pytest.param("{{ fields.city }} {{ fields.visits }}", {"fields.city": "Ulm"}, "Ulm 3", (), id="dotted"),
        pytest.param("{{ voucher.code }}", {"voucher": {"code": "X"}}, "X", (), id="a voucher"),
        pytest.param("{{ voucher.code }}{{ voucher.plan }}", {"voucher.code": "X"}, "X", ("voucher.plan",), id="half"),
        pytest.param("{{ variables.when }}", {"when": "17:30"}, "17:30", (), id="any name"),
        pytest.param("{{ variables.order.no }}", {"order.no": 7}, "7", (), id="nested"),
        pytest.param("{{ contact.name }} {{ campaign.name }}", {}, "Ann Spring", (), id="the campaign's"),
        pytest.param("{{ campaign.name }}", {"campaign": {"name": "May"}}, "May", (), id="another campaign's"),
        pytest.param("{{ name }}", {"name": None}, "", ("name",), id="null takes a value away"),
        pytest.param("{{ voucher.code }}", {"voucher": 5}, "", ("voucher.code",), id="a value where a part was meant"),
    ],
)
def test_values(text: str, variables: dict[str, Any], filled: str, missing: tuple[str, ...]) -> None:
    values = values_of(msisdn="+12025550142", contact=Ann(), campaign="Spring", variables=variables)
    assert compile_template(text, known=TEMPLATE_TAGS).fill(values) == (filled, missing)


def test_a_loose_number_has_a_number_only() -> None:
    values = values_of(msisdn="+12025550142")
    assert compile_template("{{ msisdn }} {{ name }}", known=TEMPLATE_TAGS).fill(values) == ("+12025550142 ", ("name",))


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"": 1}, id="no name"),
        pytest.param({"a b": 1}, id="a space"),
        pytest.param({"_a": 1}, id="an underscore first"),
        pytest.param({"a..b": 1}, id="an empty part"),
        pytest.param({"a.b.c.d.e": 1}, id="too deep"),
        pytest.param({"x" * 65: 1}, id="too long"),
        pytest.param({"a": 1, "a.b": 2}, id="below a value"),
        pytest.param({f"k{n}": n for n in range(101)}, id="too many"),
    ],
)
def test_refuses(variables: dict[str, Any]) -> None:
    with pytest.raises(InvalidVariables):
        read_variables(variables)


@pytest.mark.parametrize("info", TAGS, ids=lambda info: info.tag)
def test_every_tag_told_can_be_used_where_it_says(info: Any) -> None:
    text = f"{{{{ {info.tag.replace('<key>', 'key')} }}}}"
    for use, known in ((Use.CAMPAIGN, CAMPAIGN_TAGS), (Use.TEMPLATE, TEMPLATE_TAGS)):
        if use in info.uses:
            compile_template(text, known=known)
        else:
            with pytest.raises(UnknownTag):
                compile_template(text, known=known)


def test_every_known_tag_is_told() -> None:
    assert set(TEMPLATE_TAGS.names) <= {info.tag for info in TAGS}
