"""Templates: what a tag may say, what it becomes, and what is refused at which place."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.template import (
    CAMPAIGN_TAGS,
    CONTACT_TAGS,
    MAX_TEXT_CHARACTERS,
    MAX_VALUE_CHARACTERS,
    Filled,
    InvalidTemplate,
    Known,
    TextTooLong,
    UnknownTag,
    compile_template,
)
from shared.errors import Invalid


class Colour(StrEnum):
    RED = "red"


ANNA: dict[str, Any] = {
    "name": "Anna Maria",
    "msisdn": "+12025550142",
    "external_id": "c-7",
    "location_id": "hall",
    "time_zone": "Africa/Nairobi",
    "fields": {
        "city": "Nairobi",
        "größe": "XL",
        "address": {"street": "Main St"},
        "points": 120,
        "ratio": 0.25,
        "whole": 5.0,
        "price": Decimal("12.50"),
        "member": True,
        "blocked": False,
        "since": dt.date(2025, 3, 1),
        "at": dt.datetime(2025, 3, 1, 9, 30, tzinfo=dt.UTC),
        "id": UUID("0195a0c0-0000-7000-8000-000000000000"),
        "colour": Colour.RED,
        "shout": "MARY-ANN O'BRIEN",
        "tags": ["a", "b"],
        "empty": "",
        "blank": " \n\t",
        "none": None,
        "nan": float("nan"),
        "infinite": Decimal("Infinity"),
        "huge": 10**5000,
        "object": object(),
        "bytes": b"x",
        "dirty": "a\x00b\rc\td\x1b[2Je\x85f",
        "lines": "one\r\ntwo\nthree",
        "surrogate": "a\ud800b",
        "tag": "{{ name }}",
        "class": "2b",
    },
    "campaign": {"name": "Spring"},
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        pytest.param("Hello", "Hello", id="no tags"),
        pytest.param("", "", id="empty"),
        pytest.param("Hello {{ name }}!", "Hello Anna Maria!", id="a contact's column"),
        pytest.param("{{name}}{{msisdn}}", "Anna Maria+12025550142", id="side by side"),
        pytest.param("{{ contact.name }}", "Anna Maria", id="the column by its full name"),
        pytest.param("{{ fields.city }}", "Nairobi", id="a custom field"),
        pytest.param("{{ fields.größe }}", "XL", id="a custom field in German"),
        pytest.param("{{ fields.class }}", "2b", id="a custom field that is a word of Python"),
        pytest.param("{{ fields.address.street }}", "Main St", id="a field of a field"),
        pytest.param("{{ campaign.name }}", "Spring", id="the campaign"),
        pytest.param("{{ fields.points }}", "120", id="a whole number"),
        pytest.param("{{ fields.ratio }}", "0.25", id="a fraction"),
        pytest.param("{{ fields.whole }}", "5", id="a whole number stored as a fraction"),
        pytest.param("{{ fields.price }}", "12.50", id="a decimal keeps its zeros"),
        pytest.param("{{ fields.member }} {{ fields.blocked }}", "true false", id="yes and no"),
        pytest.param("{{ fields.since }}", "2025-03-01", id="a date"),
        pytest.param("{{ fields.at }}", "2025-03-01T09:30:00+00:00", id="a time"),
        pytest.param("{{ fields.id }}", "0195a0c0-0000-7000-8000-000000000000", id="a uuid"),
        pytest.param("{{ fields.colour }}", "red", id="a member of an enum"),
        pytest.param("{{ fields.dirty }}", "a b c d [2Je f", id="controls become spaces"),
        pytest.param("{{ fields.lines }}", "one\ntwo\nthree", id="line ends stay"),
        pytest.param("{{ fields.surrogate }}", "a b", id="half a character becomes a space"),
        pytest.param("{{ fields.tag }}", "{{ name }}", id="a value is never read as a tag"),
        pytest.param("{{ name | upper }}", "ANNA MARIA", id="upper"),
        pytest.param("{{ name | lower }}", "anna maria", id="lower"),
        pytest.param("{{ name | capitalize }}", "Anna maria", id="capitalize"),
        pytest.param("{{ fields.shout | title }}", "Mary-Ann O'Brien", id="title"),
        pytest.param('{{ "IT\'S" | title }}', "It's", id="title keeps a short ending small"),
        pytest.param("{{ name | first_word }}", "Anna", id="first word"),
        pytest.param("{{ name | truncate(6) }}", "Anna M", id="truncate"),
        pytest.param("{{ name | truncate(5) }}|", "Anna|", id="truncate leaves no space behind"),
        pytest.param('{{ " x " | trim }}', "x", id="trim"),
        pytest.param("{{ name | first_word | upper }}", "ANNA", id="filters in their order"),
        pytest.param("{{ name|default('you') }}", "Anna Maria", id="default not needed"),
        pytest.param("{{ fields.x | default('you') }}", "you", id="default for an absent field"),
        pytest.param("{{ fields.none | default('you') }}", "you", id="default for none"),
        pytest.param("{{ fields.empty | default('you') }}", "you", id="default for an empty text"),
        pytest.param("{{ fields.blank | default('you') }}", "you", id="default for a blank text"),
        pytest.param("{{ fields.tags | default('you') }}", "you", id="default for a list"),
        pytest.param("{{ fields.x | default(5) }}", "5", id="a default that is a number"),
        pytest.param("{{ fields.x | default('') }}|", "|", id="an empty default"),
        pytest.param("{{ fields.x | default('you') | upper }}", "YOU", id="filtered default"),
        pytest.param("{{ fields.x | upper | default('you') }}", "you", id="default comes late"),
        pytest.param("{{ fields.x | default('a') | default('b') }}", "a", id="two defaults"),
        pytest.param("{{ fields.x | default('it\\'s') }}", "it's", id="an escaped quote"),
        pytest.param("{{ fields.x | default('a\\nb') }}", "a\nb", id="an escaped line feed"),
        pytest.param("{{ fields.x | default('a}}b') }}", "a}}b", id="braces in quotes"),
        pytest.param('{{ "{{" }} name }}', "{{ name }}", id="literal braces"),
        pytest.param("{{ 5 }}", "5", id="a literal number"),
        pytest.param("{{ 'a' 'b' }}", "ab", id="two literals in a row"),
        pytest.param("{{ (name) }}", "Anna Maria", id="harmless brackets"),
        pytest.param("{{ name" + "|trim" * 19 + " }}", "Anna Maria", id="many filters"),
        pytest.param("{{ " + "(" * 19 + "name" + ")" * 19 + " }}", "Anna Maria", id="brackets"),
        pytest.param("a {{- name -}} b", "aAnna Mariab", id="minus eats white space"),
        pytest.param("a{# a note #}b", "ab", id="a comment is dropped"),
        pytest.param("{# {{ nothing }} #}b", "b", id="a tag in a comment is none"),
        pytest.param("a\r\nb\rc\n", "a\nb\nc\n", id="line ends become line feeds and stay"),
        pytest.param("50% off } %} #} { name }", "50% off } %} #} { name }", id="loose braces"),
        pytest.param("5 € \N{GRINNING FACE}", "5 € \N{GRINNING FACE}", id="any character"),
    ],
)
def test_fill(text: str, filled: str) -> None:
    assert compile_template(text, known=CAMPAIGN_TAGS).fill(ANNA) == Filled(filled)


@pytest.mark.parametrize(
    ("text", "filled", "missing"),
    [
        pytest.param("Hi {{ name }}!", "Hi !", ("name",), id="a column"),
        pytest.param("{{ fields.x }}", "", ("fields.x",), id="a field of no fields"),
        pytest.param("{{ fields.a.b.c }}", "", ("fields.a.b.c",), id="a field of nothing"),
        pytest.param("{{ name }}{{ name|upper }}", "", ("name",), id="each once"),
        pytest.param("{{ name }}{{ msisdn }}", "", ("name", "msisdn"), id="in order"),
        pytest.param("{{ contact.name }}", "", ("contact.name",), id="named as written"),
        pytest.param("{{ name|default('') }}", "", (), id="an empty default is a choice"),
        pytest.param("{{ name|default('')|first_word|truncate(2) }}", "", (), id="and stays one"),
    ],
)
def test_what_is_missing_is_told(text: str, filled: str, missing: tuple[str, ...]) -> None:
    assert compile_template(text, known=CAMPAIGN_TAGS).fill({}) == Filled(filled, missing)


@pytest.mark.parametrize("key", ["none", "empty", "blank", "tags", "nan", "infinite", "huge", "object", "bytes", "x"])
def test_values_without_a_plain_form_are_missing(key: str) -> None:
    filled = compile_template(f"[{{{{ fields.{key} }}}}]", known=CAMPAIGN_TAGS).fill(ANNA)
    assert filled == Filled("[]", (f"fields.{key}",))


def test_names_are_looked_up_in_mappings_and_nowhere_else() -> None:
    template = compile_template("[{{ fields.real }}{{ fields.name.upper }}]", known=CAMPAIGN_TAGS)
    for fields in (5, "text", ["real"], Colour.RED, object()):
        assert template.fill({"fields": fields}).text == "[]"
    assert template.fill({"fields": {"name": "x"}}).text == "[]"


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        pytest.param("{{ nmae }}", (1, 4), "did you mean `name`?", id="a typing error"),
        pytest.param("Hi {{nmae}}", (1, 6), "`nmae` is not a known tag", id="without spaces"),
        pytest.param("{{ name }} {{ Name }}", (1, 15), "`name`?", id="the second in a line"),
        pytest.param("{{ name }}\n\n {{ x }}{{y}}", (3, 5), "`x` is not", id="the third line"),
        pytest.param("a\r\nb\r{{ x }}", (3, 4), "`x` is not", id="whatever the line ends"),
        pytest.param("😀é {{ x }}", (1, 7), "`x` is not", id="columns are characters"),
        pytest.param("a  {{- x }}", (1, 8), "`x` is not", id="after eaten white space"),
        pytest.param("{{ name -}}\n {{ x }}", (2, 5), "`x` is not", id="after eaten line ends"),
        pytest.param("{# a\nb #}{{ x }}", (2, 8), "`x` is not", id="after a comment"),
        pytest.param("{{ '}}' }}{{ x }}", (1, 14), "`x` is not", id="after braces in quotes"),
        pytest.param("{{\n  x\n}}", (2, 3), "`x` is not", id="a tag over lines"),
        pytest.param("{{ (x) }}", (1, 5), "`x` is not", id="in brackets"),
        pytest.param("{{ campaign.nam }}", (1, 4), "`campaign.name`?", id="below a known root"),
        pytest.param("{{ first_name }}", (1, 4), "`fields.first_name`", id="a field's full name"),
        pytest.param("{{ fields }}", (1, 4), "`fields.<key>`", id="all fields at once"),
        pytest.param("{{ contact }}", (1, 4), "known are name, msisdn", id="a whole contact"),
        pytest.param("{{ name.first }}", (1, 4), "not a known tag", id="a part of a column"),
        pytest.param("{{ loop.index }}", (1, 4), "not a known tag", id="a name of jinja2's"),
        pytest.param("{{ self }}", (1, 4), "not a known tag", id="another one"),
        pytest.param("{{ " + "x" * 65 + " }}", (1, 4), "too long", id="an endless name"),
        pytest.param("{{ fields.a.b.c.d }}", (1, 4), "too long", id="an endless path"),
    ],
)
def test_unknown_tags(text: str, place: tuple[int, int], says: str) -> None:
    with pytest.raises(UnknownTag) as refusal:
        compile_template(text, known=CAMPAIGN_TAGS)
    error = refusal.value
    assert (error.line, error.column) == place
    assert error.detail.startswith(f"text, line {place[0]}, column {place[1]}: ")
    assert says in error.detail


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        pytest.param("a {{ name", (1, 3), "never closed with }}", id="not closed"),
        pytest.param("a {{ name }", (1, 11), "'}' cannot stand", id="half closed"),
        pytest.param("{{ name ? }}", (1, 9), "'?' cannot stand", id="a stray character"),
        pytest.param("{{ 'abc }}", (1, 4), "quote ' is never closed", id="an open quote"),
        pytest.param("{{ \u201cabc\u201d }}", (1, 4), "cannot stand", id="curly quotes"),
        pytest.param("a {# note", (1, 3), "never closed with #}", id="an open comment"),
        pytest.param("{{ }}", (1, 1), "this tag is empty", id="empty"),
        pytest.param("x {{ first name }}", (1, 3), "expected token '}}'", id="two words"),
        pytest.param("{{ name" + "|trim" * 20 + " }}", (1, 1), "too much", id="too many filters"),
        pytest.param("{{ name | }}", (1, 1), "cannot be read", id="no filter after the bar"),
        pytest.param("{{ name|uper }}", (1, 9), "`uper` is not a known filter", id="no such"),
        pytest.param("{{ name|uper }}", (1, 9), "use one of upper, lower", id="... the remedy"),
        pytest.param("{{ name|upper|x }}", (1, 15), "`x` is not a known filter", id="the second"),
        pytest.param("{{ name|default }}", (1, 9), 'default("there")', id="default of nothing"),
        pytest.param("{{ name|default(msisdn) }}", (1, 9), "only a literal", id="of a name"),
        pytest.param("{{ name|default('a'|upper) }}", (1, 9), "only a literal", id="of a filter"),
        pytest.param("{{ name|default('a', true) }}", (1, 9), "takes one text", id="of two"),
        pytest.param("{{ name|default(x='a') }}", (1, 9), "only a literal", id="of a keyword"),
        pytest.param("{{ name|default(*'a') }}", (1, 9), "only a literal", id="of a star"),
        pytest.param("{{ name|default(true) }}", (1, 9), "takes one text", id="of true"),
        pytest.param("{{ name|default(1.5) }}", (1, 9), "takes one text", id="of a fraction"),
        pytest.param("{{ name|default('" + "x" * 321 + "') }}", (1, 9), "at most 320", id="of a page"),
        pytest.param("{{ name|upper(1) }}", (1, 9), "nothing in brackets", id="upper of one"),
        pytest.param("{{ name|truncate }}", (1, 9), "from 1 to 320", id="truncate of nothing"),
        pytest.param("{{ name|truncate(0) }}", (1, 9), "from 1 to 320", id="truncate of 0"),
        pytest.param("{{ name|truncate(321) }}", (1, 9), "from 1 to 320", id="of too much"),
        pytest.param("{{ name|truncate(true) }}", (1, 9), "from 1 to 320", id="of true, again"),
        pytest.param("{{ name|default('\\q') }}", (1, 18), "double the backslash", id="escape"),
        pytest.param("{{ '\\ud800' }}", (1, 5), "double the backslash", id="half a character"),
        pytest.param("{{ '\\N{BELL}' }}", (1, 5), "double the backslash", id="a named one"),
        pytest.param("a\n\x00", (2, 1), "U+0000 cannot be sent", id="a NUL"),
        pytest.param("a\ud800", (1, 2), "U+D800 cannot be sent", id="a lone surrogate"),
        pytest.param("{{ name\x1b }}", (1, 8), "U+001B cannot be sent", id="an escape"),
        pytest.param("{{ name[0] }}", (1, 1), "not an index", id="an index"),
        pytest.param("{{ name() }}", (1, 1), "not a call", id="a call"),
        pytest.param("{{ name or 'x' }}", (1, 1), "not a condition", id="a condition"),
        pytest.param("{{ 'a' if name }}", (1, 1), "not a condition", id="an inline if"),
        pytest.param("{{ name is defined }}", (1, 1), "not a test", id="a test"),
        pytest.param("{{ name == 'x' }}", (1, 1), "not a comparison", id="a comparison"),
        pytest.param("{{ name ~ 'x' }}", (1, 1), "not a calculation", id="a concatenation"),
        pytest.param("{{ -1 }}", (1, 1), "not a calculation", id="a sign"),
        pytest.param("{{ [name] }}", (1, 1), "not a list", id="a list"),
        pytest.param("{{ {} }}", (1, 1), "not a mapping", id="a mapping"),
        pytest.param("{{ name, name }}", (1, 1), "not several values", id="two names"),
        pytest.param("{{ true }}", (1, 1), "a text in quotes", id="true"),
        pytest.param("{{ none }}", (1, 1), "a text in quotes", id="none"),
        pytest.param("{{ 1.5 }}", (1, 1), "a text in quotes", id="a fraction"),
        pytest.param("a {% if name %}b{% endif %}", (1, 3), "statements", id="if"),
        pytest.param("{% raw %}{{ x }}{% endraw %}", (1, 1), "statements", id="raw"),
        pytest.param("{%", (1, 1), "statements", id="the beginning of a statement"),
    ],
)
def test_invalid_templates(text: str, place: tuple[int, int], says: str) -> None:
    with pytest.raises(InvalidTemplate) as refusal:
        compile_template(text, known=CAMPAIGN_TAGS)
    error = refusal.value
    assert not isinstance(error, UnknownTag)
    assert (error.line, error.column) == place
    assert error.detail.startswith(f"text, line {place[0]}, column {place[1]}: ")
    assert says in error.detail


BOMBS = [
    "{{ 'x' * 20000000 }}",
    "{{ 'x' * 2e7 }}",
    "{{ '%20000000s' | format('x') }}",
    "{{ '%20000000s'.format('x') }}",
    "{{ 'x'.ljust(20000000) }}",
    "{{ name | center(20000000) }}",
    "{{ name | replace('a', 'aaaaaaaa') }}",
    "{{ name | wordwrap(1) | indent(99999999) }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ range(1000000000) }}",
    "{{ range(10**9) | list }}",
    "{{ lipsum(n=10000000) }}",
    "{{ cycler('a', 'b').next() }}",
    "{{ joiner() }}",
    "{{ namespace(a=1) }}",
    "{{ dict(a=1) }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ name.__class__ }}",
    "{{ fields.__class__.__init__.__globals__ }}",
    "{{ fields._private }}",
    "{{ fields['__class__'] }}",
    "{{ name | attr('__class__') }}",
    "{{ name | attr('format') }}",
    "{{ name | map('attr', 'x') }}",
    "{{ name | pprint }}",
    "{{ name | tojson }}",
    "{{ name | safe }}",
    "{{ config }}",
    "{{ request.application }}",
    "{{ self.__init__.__globals__ }}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ _('x') }}",
    "{{ (lambda: 1)() }}",
    "{{ name[::-1] }}",
    "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
    "{% set x = 'a' %}{{ x }}",
    "{% set ns = namespace(x='a') %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% extends 'x' %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{% filter upper %}x{% endfilter %}",
    "{% call(x) m() %}{% endcall %}",
    "{% autoescape false %}{% endautoescape %}",
    "{%- if name -%}x{%- endif -%}",
    "{{ " + "(" * 700 + "name" + ")" * 700 + " }}",
    "{{ " + "[" * 1500,
    "{{ " + "{" * 1500,
    "{{ " + "(" * 1500 + " }}",
    "{{ " + "-" * 1500 + "1 }}",
    "{{ " + "not " * 350 + "name }}",
    "{{ name" + "|upper" * 250 + " }}",
    "{{ name" + ".a" * 700 + " }}",
    "{{ fields" + ".a" * 700 + " }}",
    "{{ name" + "[0]" * 500 + " }}",
    "{{ name" + "()" * 700 + " }}",
    "{{ " + "name if " * 150 + "name }}",
    "{{ " + "a ~ " * 350 + "a }}",
    "{{ " + "1," * 700 + " }}",
    "{{ " + "'a' " * 350 + " }}",
    "{{ " + "9" * 1500 + ".5 }}",
    "{{ 1e999 }}",
    "{{ name|default(" + "(" * 700 + "'x'" + ")" * 700 + ") }}",
    "{{" * 800,
    "{#" * 800,
    "{{ '" + "\\" * 1500,
    "{{ name }" * 150,
]


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:40])
def test_bombs_are_refused(text: str) -> None:
    with pytest.raises(InvalidTemplate):
        compile_template(text, known=CAMPAIGN_TAGS)


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:40])
def test_bombs_are_refused_on_a_deep_stack_too(text: str) -> None:
    def deeper(frames: int) -> None:
        if frames:
            deeper(frames - 1)
        else:
            compile_template(text, known=CAMPAIGN_TAGS)

    with pytest.raises(InvalidTemplate):
        deeper(300)


def test_the_longest_text() -> None:
    compile_template("x" * MAX_TEXT_CHARACTERS, known=CAMPAIGN_TAGS)
    with pytest.raises(TextTooLong, match="1601 characters as written"):
        compile_template("x" * (MAX_TEXT_CHARACTERS + 1), known=CAMPAIGN_TAGS)


def test_the_longest_filled_text() -> None:
    template = compile_template("x" * 1500 + "{{ name }}", known=CAMPAIGN_TAGS)
    assert len(template.fill({"name": "y" * 100}).text) == MAX_TEXT_CHARACTERS
    with pytest.raises(TextTooLong, match="1601 characters with its tags filled in"):
        template.fill({"name": "y" * 101})


def test_the_longest_value() -> None:
    template = compile_template("{{ name }}", known=CAMPAIGN_TAGS)
    assert len(template.fill({"name": "y" * MAX_VALUE_CHARACTERS}).text) == MAX_VALUE_CHARACTERS
    with pytest.raises(TextTooLong, match="`name` fills in 321 characters"):
        template.fill({"name": "y" * (MAX_VALUE_CHARACTERS + 1)})
    with pytest.raises(TextTooLong, match="`name` fills in 640 characters"):
        compile_template("{{ name|upper }}", known=CAMPAIGN_TAGS).fill({"name": "ß" * 320})
    cut = compile_template("{{ name|truncate(320) }}", known=CAMPAIGN_TAGS)
    assert len(cut.fill({"name": "y" * 100_000}).text) == MAX_VALUE_CHARACTERS


def test_tags_are_listed_once_and_in_order() -> None:
    text = "{{ fields.b }} {{ name }} {{ fields.b | upper }} {{ contact.name }} {{ 'x' }}"
    template = compile_template(text, known=CAMPAIGN_TAGS)
    assert template.tags == ("fields.b", "name", "contact.name")
    assert not template.is_plain


@pytest.mark.parametrize("text", ["", "Hello", "{{ '{{' }} a {# b #}"])
def test_a_text_without_names_is_plain(text: str) -> None:
    template = compile_template(text, known=CAMPAIGN_TAGS)
    assert template.is_plain
    assert template.tags == ()


def test_what_is_known_is_up_to_the_caller() -> None:
    vouchers = CONTACT_TAGS | Known.of("voucher.code", open_roots=("event",))
    template = compile_template("{{ voucher.code }} {{ event.a.b }} {{ name }}", known=vouchers)
    values = {"voucher": {"code": "V1"}, "event": {"a": {"b": 2}}, "name": "Anna"}
    assert template.fill(values).text == "V1 2 Anna"
    with pytest.raises(UnknownTag, match=r"`voucher.code` has a value in single messages only; known are name"):
        compile_template("{{ voucher.code }}", known=CONTACT_TAGS)
    with pytest.raises(UnknownTag):
        compile_template("{{ campaign.name }}", known=CONTACT_TAGS)
    assert vouchers.names[-1] == "voucher.code"


def test_a_refusal_keeps_its_place_when_it_is_named_by_its_field() -> None:
    with pytest.raises(UnknownTag) as refusal:
        compile_template("a\n{{ x }}", known=CAMPAIGN_TAGS)
    named = refusal.value.at("/messages/0/text")
    assert isinstance(named, UnknownTag)
    assert (named.line, named.column) == (2, 4)
    assert [error.pointer for error in named.errors] == ["/messages/0/text"]


SOUP = [
    *("{{", "}}", "{{-", "-}}", "{%", "%}", "{#", "#}", "{", "}", "(", ")", "[", "]", "|", ".", ","),
    *("name", "fields", ".city", "x", "default", "upper", "truncate", "not", "if", "else", "is"),
    *("'a'", '"b"', "'", '"', "\\", "1", "1.5", "0x", "1e9", "True", "none", "-", "~", "*", "**"),
    *(" ", "\n", "\r\n", "\t", "é", "\N{GRINNING FACE}", "\0", "\u2028", "raw", "endraw", "=", ":"),
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters(codec=None), max_size=400)
    | st.binary(max_size=5)
    | st.dates()
    | st.datetimes()
    | st.uuids(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
CONTACTS = st.fixed_dictionaries(
    {}, optional={"name": VALUES, "fields": st.dictionaries(st.just("city"), VALUES) | VALUES}
)


def pieces(text: str) -> Iterator[str]:
    for filters in ("", "|upper", "|lower|title", "|trim|first_word", "|truncate(7)"):
        yield text.replace("}}", f"{filters} }}}}")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(SOUP), max_size=24).map("".join), CONTACTS)
def test_every_text_compiles_or_is_refused(text: str, contact: dict[str, Any]) -> None:
    try:
        template = compile_template(text, known=CAMPAIGN_TAGS)
    except Invalid:
        return
    assert len(template.fill(ANNA | contact).text) <= MAX_TEXT_CHARACTERS


@settings(deadline=None)
@given(st.text(st.characters(codec=None), max_size=100))
def test_every_unicode_text_compiles_or_is_refused(text: str) -> None:
    for candidate in (text, f"{{{{{text}}}}}", f"{{{{ '{text}' }}}}", f"{{{{ name|{text} }}}}"):
        try:
            compile_template(candidate, known=CAMPAIGN_TAGS).fill(ANNA).text.encode()
        except Invalid:
            continue


@settings(max_examples=200, deadline=None)
@given(CONTACTS)
def test_every_contact_can_be_filled_in(contact: dict[str, Any]) -> None:
    for text in pieces("{{ name }} {{ fields.city }}"):
        try:
            filled = compile_template(text, known=CAMPAIGN_TAGS).fill(contact).text
        except TextTooLong:
            continue
        assert not set(map(chr, [*range(10), *range(11, 32), *range(127, 160)])) & set(filled)
        filled.encode()
