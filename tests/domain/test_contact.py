"""What a contact may hold, as a table: keys that tags can carry, zones that other machines know."""

from typing import Any

import pytest

from shared.domain.contact import InvalidContact, key_of, merge_fields, read_text, read_time_zone
from shared.domain.template import CONTACT_TAGS, compile_template

KEYS = [
    pytest.param("city", "city", id="as it is"),
    pytest.param(" City ", "City", id="case stays"),
    pytest.param("Voucher code", "Voucher_code", id="space"),
    pytest.param("e-mail (work)", "e_mail_work", id="signs"),
    pytest.param("2nd line", "column_2nd_line", id="digit first"),
    pytest.param("Straße", "Straße", id="letters of other languages"),
    pytest.param("город", "город", id="letters of other scripts"),
    pytest.param("x" * 70, "x" * 64, id="long"),
    pytest.param("9" * 70, "column_" + "9" * 57, id="long, of digits"),
    pytest.param("!?", "", id="nothing left"),
    pytest.param("", "", id="nothing"),
]


@pytest.mark.parametrize(("header", "key"), KEYS)
def test_a_header_becomes_a_key(header: str, key: str) -> None:
    assert key_of(header) == key


@pytest.mark.parametrize("key", [parameters.values[1] for parameters in KEYS if parameters.values[1]])
def test_every_key_can_be_stored_and_stand_in_a_tag(key: str) -> None:
    assert merge_fields({}, {key: "x"}) == {key: "x"}
    template = compile_template(f"{{{{ fields.{key} }}}}", known=CONTACT_TAGS)
    assert template.fill({"fields": {key: "Delft"}}).text == "Delft"


@pytest.mark.parametrize("key", ["", "_x", "1x", "a b", "a-b", "a.b", "x" * 65])
def test_refuses_keys_that_no_tag_can_carry(key: str) -> None:
    with pytest.raises(InvalidContact, match="tag can carry"):
        merge_fields({}, {key: "x"})


ZONES = [
    pytest.param("Africa/Johannesburg", True, id="a city"),
    pytest.param("America/Argentina/Buenos_Aires", True, id="three parts"),
    pytest.param("Etc/GMT+2", True, id="an offset"),
    pytest.param("UTC", True, id="utc"),
    pytest.param("Mars/Olympus", False, id="elsewhere"),
    pytest.param("+02:00", False, id="a bare offset"),
    pytest.param("africa/johannesburg", False, id="lower case"),
    pytest.param("Africa", False, id="a directory"),
    pytest.param("../UTC", False, id="a way up"),
    pytest.param("/etc/localtime", False, id="a file"),
    pytest.param("localtime", False, id="this machine's own"),
    pytest.param("posix/UTC", False, id="another spelling"),
    pytest.param("UTC\x00", False, id="NUL"),
    pytest.param("A" * 65, False, id="long"),
]


@pytest.mark.parametrize(("zone", "known"), ZONES)
def test_knows_zones(zone: str, known: bool) -> None:
    if known:
        assert read_time_zone(f" {zone} ") == zone
    else:
        with pytest.raises(InvalidContact, match="IANA"):
            read_time_zone(zone)


def test_blank_is_nothing() -> None:
    assert read_time_zone(" ") is None
    assert read_text(" \n ", name="name") is None


def test_a_text_is_one_line() -> None:
    assert read_text(" Joe\r\n\tBloggs ", name="name") == "Joe Bloggs"


@pytest.mark.parametrize("text", ["a\x00b", "a\x1b[31mb", "a\ud800b", "x" * 201])
def test_refuses_texts(text: str) -> None:
    with pytest.raises(InvalidContact, match=r"^name "):
        read_text(text, name="name")


def test_null_takes_a_key_away() -> None:
    assert merge_fields({"a": 1, "b": 2}, {"a": None, "c": "x", "d": None}) == {"b": 2, "c": "x"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [], {}, b"x", "\x00", "\udfff", "x" * 4001])
def test_refuses_values(value: Any) -> None:
    with pytest.raises(InvalidContact) as refused:
        merge_fields({}, {"a": value})
    assert [error.pointer for error in refused.value.errors] == ["/fields/a"]


def test_what_is_there_already_counts() -> None:
    with pytest.raises(InvalidContact, match="101 fields"):
        merge_fields({f"k{n}": n for n in range(100)}, {"one_more": 1})
