"""Keywords: which whole messages mean stop, start and help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.keywords import (
    LONGEST_OWN,
    MOST_OWN,
    WORDS,
    Keyword,
    classify,
    find_unfit,
    fold_own,
    sounds_like_refusal,
)

STOP, START, HELP = Keyword.STOP, Keyword.START, Keyword.HELP


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        pytest.param("STOP", STOP, id="the word"),
        pytest.param("stop", STOP, id="small letters"),
        pytest.param("StOp", STOP, id="mixed letters"),
        pytest.param("  Stop \n", STOP, id="white space around"),
        pytest.param("Stop.", STOP, id="a full stop"),
        pytest.param("STOP!!!", STOP, id="shouted"),
        pytest.param("'STOP'", STOP, id="quoted, as the text told them to"),
        pytest.param("S.T.O.P", STOP, id="spelt"),
        pytest.param("\uff33\uff34\uff2f\uff30", STOP, id="wide letters"),
        pytest.param("STOP \N{PERSON WITH FOLDED HANDS}", STOP, id="with an emoji"),
        pytest.param("stop\u200b", STOP, id="with something nobody sees"),
        pytest.param("STOP ALL", STOP, id="stop all"),
        pytest.param("STOPALL", STOP, id="stopall"),
        pytest.param("OPT-OUT", STOP, id="opt-out"),
        pytest.param("opt out", STOP, id="opt out"),
        pytest.param("OPTOUT", STOP, id="optout"),
        pytest.param("Unsubscribe", STOP, id="unsubscribe"),
        pytest.param("CANCEL", STOP, id="cancel"),
        pytest.param("END", STOP, id="end"),
        pytest.param("QUIT", STOP, id="quit"),
        pytest.param("REVOKE", STOP, id="revoke"),
        pytest.param("REMOVE", STOP, id="remove"),
        pytest.param("TD", STOP, id="td"),
        pytest.param("ARRET", STOP, id="French without its accent"),
        pytest.param("Arrêt", STOP, id="French with its accent"),
        pytest.param("arre\u0302t", STOP, id="French, accent apart"),
        pytest.param("STOPP", STOP, id="German: stopp"),
        pytest.param("Abmelden", STOP, id="German: abmelden"),
        pytest.param("ALTO", STOP, id="Spanish: alto"),
        pytest.param("Baja", STOP, id="Spanish: baja"),
        pytest.param("PARAR", STOP, id="Spanish and Portuguese: parar"),
        pytest.param("SAIR", STOP, id="Portuguese: sair"),
        pytest.param("Afmelden", STOP, id="Dutch: afmelden"),
        pytest.param("UITSCHRIJVEN", STOP, id="Dutch: uitschrijven"),
        pytest.param("FERMA", STOP, id="Italian: ferma"),
        pytest.param("Annulla", STOP, id="Italian: annulla"),
        pytest.param("HOU OP", STOP, id="Afrikaans: hou op"),
        pytest.param("START", START, id="start"),
        pytest.param("unstop", START, id="unstop"),
        pytest.param("Yes", START, id="yes"),
        pytest.param("ALTA", START, id="Spanish: alta"),
        pytest.param("HELP", HELP, id="help"),
        pytest.param("info?", HELP, id="info"),
        pytest.param("Hilfe", HELP, id="German: hilfe"),
        pytest.param("AYUDA", HELP, id="Spanish: ayuda"),
        pytest.param("", None, id="empty"),
        pytest.param("...", None, id="punctuation"),
        pytest.param("\N{THUMBS UP SIGN}", None, id="an emoji"),
        pytest.param("Please stop texting me", None, id="a sentence is for a human"),
        pytest.param("Don't stop", None, id="a sentence that means the contrary"),
        pytest.param("stopping by at 8", None, id="a word that begins so"),
        pytest.param("STOP STOP", None, id="twice is no keyword"),
        pytest.param("no", None, id="no answers a question"),
        pytest.param("stop" + " " * 200, STOP, id="trailing white space of any length"),
        pytest.param("stop" + "." * 200, None, id="a long text is none"),
    ],
)
def test_classify(text: str, keyword: Keyword | None) -> None:
    assert classify(text) is keyword


@pytest.mark.parametrize(
    ("keyword", "word"),
    [
        pytest.param(keyword, word, id=f"{keyword} in {language}: {word}")
        for keyword, languages in WORDS.items()
        for language, words in languages.items()
        for word in words
    ],
)
def test_every_word_means_one_thing(keyword: Keyword, word: str) -> None:
    for written in (word, word.upper(), word.title(), f" {word}. ", word.replace(" ", "")):
        assert classify(written) is keyword


@given(st.text(max_size=80))
def test_every_text_has_an_answer(text: str) -> None:
    assert classify(text) in {None, STOP, START, HELP}


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        pytest.param("Please stop texting me", True, id="stop in a sentence"),
        pytest.param("STOP it now!!", True, id="begins with the word"),
        pytest.param("I said stop", True, id="ends with the word"),
        pytest.param("Don\u2019t text me again", True, id="a curly apostrophe"),
        pytest.param("wrong number, remove me", True, id="wrong number"),
        pytest.param("Bitte keine Nachrichten mehr!", True, id="German"),
        pytest.param("Je veux ne plus recevoir vos SMS", True, id="French"),
        pytest.param("No quiero recibir más mensajes", True, id="Spanish"),
        pytest.param("STOP", False, id="a keyword is obeyed, not reviewed"),
        pytest.param("Thanks, see you at eight", False, id="a reply"),
        pytest.param("Which bus stop is near you?", False, id="the word in the middle"),
        pytest.param("Cancel my table for tonight please", False, id="of something else"),
        pytest.param("", False, id="nothing"),
        pytest.param("x" * 100_000, False, id="long"),
    ],
)
def test_sentence_that_may_mean_stop(text: str, *, refuses: bool) -> None:
    assert sounds_like_refusal(text) is refuses


# --- owners' own words

OWN = {
    "stop": {
        "sv": ["Avsluta", "sluta nu"],
        "sw": ["acha"],
        "ru": ["стоп"],
        "ar": ["توقف"],
        "zh": ["退订"],
        "xx": ["2"],
    },
    "start": {"sv": ["anmäl"], "el": ["ΈΝΑΡΞΗ"]},
    "help": {"sv": ["hjälp"], "ja": ["ヘルプ"]},
}


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        pytest.param("AVSLUTA!", STOP, id="Swedish, shouted"),
        pytest.param("Sluta  nu.", STOP, id="two words"),
        pytest.param("slutanu", STOP, id="two words as one"),
        pytest.param("Acha", STOP, id="Swahili"),
        pytest.param("СТОП", STOP, id="Russian"),
        pytest.param("«Стоп»", STOP, id="Russian, quoted"),
        pytest.param("توقف", STOP, id="Arabic"),
        pytest.param("\u200fتوقف ", STOP, id="Arabic, with a mark of direction"),
        pytest.param("退订。", STOP, id="Chinese"),
        pytest.param("2", STOP, id="a digit"),
        pytest.param("Anmal", START, id="without its accent"),
        pytest.param("έναρξη", START, id="Greek, small"),
        pytest.param("Hjälp?", HELP, id="help"),
        pytest.param("ﾍﾙﾌﾟ", HELP, id="Japanese, narrow"),
        pytest.param("stop", STOP, id="what is built in stays"),
        pytest.param("Jag vill avsluta", None, id="a sentence"),
        pytest.param("22", None, id="another number"),
    ],
)
def test_owners_words_count_as_well(text: str, keyword: Keyword | None) -> None:
    assert classify(text, fold_own(OWN)) is keyword


def test_owners_words_are_fit() -> None:
    assert find_unfit(OWN) == []
    assert find_unfit({"stop": {"en": ["stop", "Stop!", "STOP"]}}) == []  # said already


def test_owners_word_in_a_sentence_is_for_a_human() -> None:
    own = fold_own(OWN)
    assert sounds_like_refusal("Avsluta genast, tack", own)
    assert not sounds_like_refusal("Avsluta", own)
    assert not sounds_like_refusal("Avsluta genast, tack")


@pytest.mark.parametrize(
    ("words", "pointers"),
    [
        pytest.param({"stop": {"sv": ["!!!"]}}, ["/stop/sv/0"], id="nothing to compare"),
        pytest.param({"stop": {"sv": [" "]}}, ["/stop/sv/0"], id="a blank"),
        pytest.param({"stop": {"sv": ["\N{OCTAGONAL SIGN}"]}}, ["/stop/sv/0"], id="an emoji"),
        pytest.param({"stop": {"sv": ["a" * 41]}}, ["/stop/sv/0"], id="too long"),
        pytest.param({"start": {"en": ["ok", "Cancel"]}}, ["/start/en/1"], id="means something everywhere"),
        pytest.param({"help": {"en": ["Y E S"]}}, ["/help/en/0"], id="the same letters"),
        pytest.param({"stop": {"en": ["no"]}, "start": {"fr": ["NO."]}}, ["/start/fr/0"], id="two meanings"),
        pytest.param({"stop": {"en": ["!", "help"]}}, ["/stop/en/0", "/stop/en/1"], id="each by its place"),
    ],
)
def test_words_that_cannot_be(words: dict[str, dict[str, list[str]]], pointers: list[str]) -> None:
    assert [error.pointer for error in find_unfit(words)] == pointers


def test_longest_and_most_words() -> None:
    assert find_unfit({"stop": {"en": ["a" * LONGEST_OWN]}}) == []
    some = {"stop": {"en": [f"word {n}" for n in range(MOST_OWN)]}}
    assert find_unfit(some) == []
    (error,) = find_unfit(some | {"help": {"en": ["one more"]}})
    assert error.pointer == ""
