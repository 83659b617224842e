"""Segments: the published vectors of gateways, and packing against a plain reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.gsm7 import BASIC, EXTENSION, HOMOGLYPHS, LOOK_ALIKES
from shared.domain.segments import Encoding, Measured, measure, per_160, suggestions

GSM7, UCS2 = Encoding.GSM7, Encoding.UCS2
SMILE = "\N{GRINNING FACE}"
FLAG = "\N{REGIONAL INDICATOR SYMBOL LETTER I}\N{REGIONAL INDICATOR SYMBOL LETTER T}"
RAINBOW = "\U0001f3f3\ufe0f\u200d\U0001f308"


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        pytest.param("", GSM7, 0, 0, id="an empty text is not sent"),
        pytest.param("a" * 160, GSM7, 160, 1, id="160 septets fill one segment"),
        pytest.param("a" * 161, GSM7, 161, 2, id="161 septets need a chain"),
        pytest.param("a" * 306, GSM7, 306, 2, id="306 = 2 x 153"),
        pytest.param("a" * 307, GSM7, 307, 3, id="307"),
        pytest.param("a" * 459, GSM7, 459, 3, id="459 = 3 x 153"),
        pytest.param("a" * 460, GSM7, 460, 4, id="460"),
        pytest.param("a" * 480, GSM7, 480, 4, id="480 characters are four segments"),
        pytest.param("0" * 160, GSM7, 160, 1, id="160 digits"),
        pytest.param("0" * 161, GSM7, 161, 2, id="161 digits"),
        pytest.param("0" * 307, GSM7, 307, 3, id="307 digits"),
        pytest.param("^" * 80, GSM7, 160, 1, id="an extension character takes two septets"),
        pytest.param("^" * 81, GSM7, 162, 2, id="81 extension characters"),
        pytest.param("^" * 152, GSM7, 304, 2, id="76 extension characters a segment"),
        pytest.param("^" * 153, GSM7, 306, 3, id="dividing would say 2"),
        pytest.param("a" * 152 + "^" + "a" * 151, GSM7, 305, 2, id="^ moves to part 2"),
        pytest.param("a" * 152 + "^" + "a" * 152, GSM7, 306, 3, id="^ moves and pushes one out"),
        pytest.param("a" * 152 + "[" + "a" * 152, GSM7, 306, 3, id="[ moves and pushes one out"),
        pytest.param("a" * 153 + "^" + "a" * 151, GSM7, 306, 2, id="^ begins part 2 by itself"),
        pytest.param("€", GSM7, 2, 1, id="euro"),
        pytest.param("a" * 158 + "|", GSM7, 160, 1, id="158 + |"),
        pytest.param("a" * 159 + "|", GSM7, 161, 2, id="159 + |"),
        pytest.param("a" * 304 + "[", GSM7, 306, 2, id="304 + ["),
        pytest.param("a" * 304 + "[]", GSM7, 308, 3, id="304 + []"),
        pytest.param("\f", GSM7, 2, 1, id="form feed"),
        pytest.param("a\nb", GSM7, 3, 1, id="line feed is one septet"),
        pytest.param("a\r\nb", GSM7, 4, 1, id="CR LF are two septets"),
        pytest.param("Ç", GSM7, 1, 1, id="capital C with cedilla is in the alphabet"),
        pytest.param("ç", UCS2, 1, 1, id="small c with cedilla is not"),
        pytest.param("`", UCS2, 1, 1, id="backtick"),
        pytest.param("\t", UCS2, 1, 1, id="tab"),
        pytest.param("\u00a0", UCS2, 1, 1, id="no-break space"),
        pytest.param("\x1b", UCS2, 1, 1, id="the escape is no character of the alphabet"),
        pytest.param("it\u2019s", UCS2, 4, 1, id="a curly apostrophe"),
        pytest.param("e\u0301", UCS2, 2, 1, id="a combining accent is not composed"),
        pytest.param("ÿ" * 70, UCS2, 70, 1, id="70 units fill one segment"),
        pytest.param("ÿ" * 71, UCS2, 71, 2, id="71 units"),
        pytest.param("ÿ" * 134, UCS2, 134, 2, id="134 = 2 x 67"),
        pytest.param("ÿ" * 135, UCS2, 135, 3, id="135 units"),
        pytest.param("ÿ" * 201, UCS2, 201, 3, id="201 = 3 x 67"),
        pytest.param("ÿ" * 202, UCS2, 202, 4, id="202 units"),
        pytest.param("ÿ" * 268, UCS2, 268, 4, id="268 units"),
        pytest.param("ÿ" * 269, UCS2, 269, 5, id="269 units"),
        pytest.param("ÿ" * 402, UCS2, 402, 6, id="402 units"),
        pytest.param("ÿ" * 403, UCS2, 403, 7, id="403 units"),
        pytest.param("Á" * 70, UCS2, 70, 1, id="70 x A acute"),
        pytest.param("Á" * 71, UCS2, 71, 2, id="71 x A acute"),
        pytest.param(SMILE * 35, UCS2, 70, 1, id="35 emoji"),
        pytest.param(SMILE * 36, UCS2, 72, 2, id="36 emoji"),
        pytest.param(SMILE * 66, UCS2, 132, 2, id="33 emoji a segment"),
        pytest.param(SMILE * 67, UCS2, 134, 3, id="67 emoji: dividing would say 2"),
        pytest.param("a" * 66 + SMILE + "a" * 65, UCS2, 133, 2, id="a pair moves to part 2"),
        pytest.param("a" * 66 + SMILE + "a" * 66, UCS2, 134, 3, id="a pair pushes one out"),
        pytest.param(SMILE + "a" * 68, UCS2, 70, 1, id="emoji + 68"),
        pytest.param(SMILE + "a" * 69, UCS2, 71, 2, id="emoji + 69"),
        pytest.param(SMILE + "]" * 68, UCS2, 70, 1, id="an extension character is one unit here"),
        pytest.param(SMILE + "]" * 69, UCS2, 71, 2, id="emoji + 69 x ]"),
        pytest.param(SMILE + "1" * 133, UCS2, 135, 3, id="emoji + 133 digits"),
        pytest.param(FLAG * 17, UCS2, 68, 1, id="a flag is four units"),
        pytest.param(FLAG * 18, UCS2, 72, 2, id="18 flags"),
        pytest.param(FLAG * 33, UCS2, 132, 2, id="a flag may be cut between its two pairs"),
        pytest.param(RAINBOW, UCS2, 6, 1, id="a joined emoji"),
        pytest.param("à" * 160, GSM7, 160, 1, id="160 x a grave"),
        pytest.param("à" * 161, GSM7, 161, 2, id="161 x a grave"),
        pytest.param("à" * 612, GSM7, 612, 4, id="612 x a grave"),
        pytest.param("à" * 613, GSM7, 613, 5, id="613 x a grave"),
        pytest.param("à" * 765, GSM7, 765, 5, id="765 x a grave"),
        pytest.param("à" * 766, GSM7, 766, 6, id="766 x a grave"),
        pytest.param("à" * 918, GSM7, 918, 6, id="918 x a grave"),
        pytest.param("à" * 919, GSM7, 919, 7, id="919 x a grave"),
        pytest.param("à" * 70 + "ÿ", UCS2, 71, 2, id="one stranger turns all into UCS-2"),
        pytest.param("â" * 69 + "{", UCS2, 70, 1, id="69 + {"),
        pytest.param("â" * 70 + "{", UCS2, 71, 2, id="70 + {"),
        pytest.param("â" * 133 + "}", UCS2, 134, 2, id="133 + }"),
        pytest.param("â" * 134 + "}", UCS2, 135, 3, id="134 + }"),
    ],
)
def test_measure(text: str, encoding: Encoding, units: int, segments: int) -> None:
    assert measure(text) == Measured(encoding, units, len(text), segments)


def test_the_alphabet_is_that_of_the_standard() -> None:
    assert len(BASIC) == len(set(BASIC)) == 127  # 128 less the escape
    assert len(EXTENSION) == len(set(EXTENSION)) == 10
    assert not set(BASIC) & set(EXTENSION)
    # Codes from the table in TS 23.038, beyond the escape's place one lower here.
    places = {"@": 0x00, "$": 0x02, "Δ": 0x10, "Æ": 0x1C, "!": 0x21, "¡": 0x40, "à": 0x7F}
    for character, code in places.items():
        assert BASIC.index(character) == code - (code > 0x1B)
    for code in (*range(0x20, 0x24), *range(0x25, 0x40), *range(0x41, 0x5B), *range(0x61, 0x7B)):
        assert BASIC[code - 1] == chr(code)


def greedy(costs: list[int], *, alone: int, chained: int) -> int:
    if sum(costs) <= alone:
        return 1 if costs else 0
    segments, room = 1, chained
    for cost in costs:
        if cost > room:
            segments, room = segments + 1, chained
        room -= cost
    return segments


@given(st.text(st.sampled_from(BASIC + EXTENSION * 4), max_size=700))
def test_gsm7_is_packed_greedily(text: str) -> None:
    costs = [2 if character in EXTENSION else 1 for character in text]
    segments = greedy(costs, alone=160, chained=153)
    assert measure(text) == Measured(GSM7, sum(costs), len(text), segments)


@given(st.text(st.sampled_from("aé€^ЖÿΩ" + SMILE * 4 + RAINBOW), max_size=400))
def test_ucs2_is_packed_greedily(text: str) -> None:
    text += "Ж"
    costs = [2 if ord(character) > 0xFFFF else 1 for character in text]
    segments = greedy(costs, alone=70, chained=67)
    assert measure(text) == Measured(UCS2, sum(costs), len(text), segments)


@given(st.text(st.characters(codec=None), max_size=300))
def test_every_text_has_a_measure(text: str) -> None:
    measured = measure(text)
    assert measured.characters == len(text)
    assert measured.segments <= measured.units
    assert (measured.encoding is GSM7) == (set(text) <= set(BASIC + EXTENSION))


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        pytest.param("", 0, id="empty"),
        pytest.param("a" * 160, 1, id="160"),
        pytest.param("a" * 161, 2, id="161"),
        pytest.param("a" * 480, 3, id="480 characters are three blocks"),
        pytest.param("Ж" * 160, 1, id="whatever the encoding"),
        pytest.param("^" * 160, 1, id="whatever the septets"),
    ],
)
def test_per_160(text: str, blocks: int) -> None:
    assert per_160(text) == blocks


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        pytest.param("\u201cHi\u201d \u2014 it\u2019s 5\u2026", '"Hi" - it\'s 5...', id="a text"),
        pytest.param("\u20395\u203a", "<5>", id="angle quotes point their own way"),
        pytest.param("a\u00a0b\tc\u2003d", "a b c d", id="each space becomes one space"),
        pytest.param("no\u200bbreak\ufeff", "nobreak", id="what nobody sees goes"),
        pytest.param("\uff21\uff42\uff10", "A\uff420", id="wide capitals and digits"),
        pytest.param("\u1d00\u0299\u1d22", "ABZ", id="small capitals"),
        pytest.param("1\u20112 \u2212 3\u2032\u2033", "1-2 - 3'\"", id="dashes and primes"),
        pytest.param("so\u00adft \u202aleft\u202c", "soft left", id="hyphens and directions that nobody sees"),
        pytest.param("P\u0430yP\u0430l C\u039fDE", "PayPal CODE", id="letters of another alphabet in a Latin word"),
        pytest.param(
            "\u0441 \u0434\u043e\u043c\u0430", "\u0441 \u0434\u043e\u043c\u0430", id="which in their own words stay"
        ),
        pytest.param("\u0434\u0430y", "\u0434\u0430y", id="and where one of them has no look-alike"),
        pytest.param("\u00bd \u203c", "1/2 !!", id="one for several"),
        pytest.param("plain", "plain", id="nothing to do"),
    ],
)
def test_suggestions(text: str, replaced: str) -> None:
    assert suggestions(text).text == replaced


def test_a_suggestion_has_its_place() -> None:
    found = suggestions("It\u2019s \u2026")
    places = [(item.position, item.character, item.replacement) for item in found.items]
    assert places == [(2, "\u2019", "'"), (5, "\u2026", "...")]


def test_suggestions_tell_what_they_save() -> None:
    found = suggestions("a" * 99 + "\u2019")
    assert (found.before.segments, found.after.segments, found.segments_saved) == (2, 1, 1)
    assert (found.before.encoding, found.after.encoding) == (UCS2, GSM7)


def test_one_character_without_a_look_alike_keeps_the_whole_text_in_ucs2() -> None:
    found = suggestions("it\u2019s Ж and Ж" + "a" * 70)
    assert found.unreplaceable == ("Ж",)
    assert (found.after.encoding, found.segments_saved) == (UCS2, 0)


def test_gsm7_text_needs_no_suggestions() -> None:
    found = suggestions(BASIC + EXTENSION)
    assert (found.items, found.unreplaceable, found.segments_saved) == ((), (), 0)


def test_look_alikes_lead_from_outside_the_alphabet_into_it() -> None:
    alphabet = set(BASIC + EXTENSION)
    assert (len(LOOK_ALIKES), len(HOMOGLYPHS)) == (289, 39)
    assert not (set(LOOK_ALIKES) | set(HOMOGLYPHS)) & alphabet
    assert set("".join((*LOOK_ALIKES.values(), *HOMOGLYPHS.values()))) <= alphabet
