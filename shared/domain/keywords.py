"""Words by which a person answers a text: stop, start again, help.

Only a whole message is such a word; a sentence with the word in it is a reply for a human to read.
Case, accents, punctuation and white space do not matter. Owners may add words of their own to those that are built in.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final
from unicodedata import combining

from shared.errors import FieldError


class Keyword(StrEnum):
    STOP = "stop"
    START = "start"
    HELP = "help"


# Every language's words count everywhere: nobody asks in which language a person wants out. In
# English those of the US rule (47 CFR 64.1200) and of the large gateways.
WORDS: Final[Mapping[Keyword, Mapping[str, tuple[str, ...]]]] = {
    Keyword.STOP: {
        "en": ("stop", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "opt out", "remove", "td"),
        "fr": ("arrêt", "arrêter", "désabonner", "désinscrire"),
        "de": ("stopp", "abmelden", "abbestellen"),
        "es": ("alto", "baja", "parar", "cancelar", "detener"),
        "pt": ("pare", "parar", "sair", "cancelar", "remover"),
        "nl": ("stop", "stoppen", "afmelden", "uitschrijven"),
        "it": ("ferma", "annulla", "cancella", "disiscrivi"),
        "af": ("staak", "hou op", "teken uit"),
    },
    Keyword.START: {
        "en": ("start", "unstop", "yes", "subscribe", "opt in"),
        "fr": ("reprendre", "réabonner"),
        "de": ("anmelden",),
        "es": ("alta", "iniciar"),
        "pt": ("iniciar", "entrar"),
        "nl": ("aanmelden", "inschrijven"),
        "it": ("attiva", "iscrivi"),
        "af": ("begin", "teken in"),
    },
    Keyword.HELP: {
        "en": ("help", "info"),
        "fr": ("aide",),
        "de": ("hilfe",),
        "es": ("ayuda",),
        "pt": ("ajuda",),
        "nl": ("hulp",),
        "it": ("aiuto",),
        "af": ("hulp",),
    },
}
# Phrases by which a sentence refuses what we send. Whoever writes one is not opted out by a guess: a person reads it.
REFUSALS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": (
        *("stop texting", "stop sending", "stop messaging", "please stop", "stop it", "unsubscribe", "opt out"),
        *("opt me out", "take me off", "remove me", "remove my number", "do not text", "don't text", "dont text"),
        *("do not contact", "don't contact", "do not message", "don't message", "leave me alone", "no more messages"),
        *("no more texts", "wrong number", "not interested"),
    ),
    "fr": ("ne plus recevoir", "ne m'envoyez plus", "désabonnez", "arrêtez"),
    "de": (
        "keine nachrichten mehr",
        "keine sms mehr",
        "bitte abmelden",
        "nicht mehr schreiben",
        "hör auf",
        "hören sie auf",
    ),
    "es": ("no me envíen", "no quiero recibir", "dar de baja", "darme de baja", "dejen de"),
    "pt": ("não quero receber", "não me envie", "parem de", "pare de"),
    "nl": ("geen berichten meer", "geen sms meer", "uitschrijven", "stop met"),
    "it": ("non voglio ricevere", "non inviatemi", "cancellatemi", "basta messaggi"),
    "af": ("hou op", "geen boodskappe meer", "moenie stuur"),
}
# They begin or end many an ordinary sentence.
_HARMLESS: Final = frozenset({"end", "cancel"})
_LONGEST_READ: Final = 2_000
_LONGEST_LOOKED_AT = 64  # no keyword with its decoration is longer; a long text is not folded in vain


def _folded(text: str) -> str:
    """The letters and digits alone, without case, accents and width."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if character.isalnum())


_KEYWORD_OF: Final[Mapping[str, Keyword]] = {
    _folded(word): keyword for keyword, languages in WORDS.items() for words in languages.values() for word in words
}


# Words by keyword and language, as owners write them.
OwnWords = Mapping[str, Mapping[str, Sequence[str]]]
# What they come to: keywords by the letters alone.
Own = Mapping[str, Keyword]

LONGEST_OWN: Final = 40
MOST_OWN: Final = 500
NONE: Final[Own] = {}


def fold_own(words: OwnWords) -> Own:
    """Owners' words, ready to be compared."""
    return {_folded(word): keyword for keyword, _, word in _each(words)}


def _each(words: OwnWords) -> Iterator[tuple[Keyword, str, str]]:
    """Keyword, pointer and word of each."""
    for name, languages in words.items():
        for language, some in languages.items():
            for place, word in enumerate(some):
                yield Keyword(name), f"/{name}/{language}/{place}", word


def find_unfit(words: OwnWords) -> list[FieldError]:
    """What is wrong with owners' words, by a pointer into them: a word has one meaning, built in or not."""
    errors: list[FieldError] = []
    known: dict[str, Keyword] = {}
    for count, (keyword, pointer, word) in enumerate(_each(words), start=1):
        if count > MOST_OWN:
            return [*errors, FieldError("", f"There are more than {MOST_OWN} words; leave some out.")]
        if told := _unfit(word, keyword, known):
            errors.append(FieldError(pointer, told))
    return errors


def _unfit(word: str, keyword: Keyword, known: dict[str, Keyword]) -> str | None:
    if len(word) > LONGEST_OWN:
        return f"The word has {len(word)} characters, and nobody writes more than {LONGEST_OWN} for one; shorten it."
    folded = _folded(word)
    if not folded:
        return "The word has neither letters nor digits, which are all that is compared; write some."
    if (built_in := _KEYWORD_OF.get(folded, keyword)) is not keyword:
        return f"{word!r} means {built_in} everywhere; choose another word for {keyword}."
    if (other := known.setdefault(folded, keyword)) is not keyword:
        return f"{word!r} stands under {other} as well; leave it out of one of them."
    return None


def classify(text: str, own: Own = NONE) -> Keyword | None:
    """The keyword that a whole inbound text is, if it is one."""
    text = text.strip()
    if len(text) > _LONGEST_LOOKED_AT:
        return None
    folded = _folded(text)
    return _KEYWORD_OF.get(folded) or own.get(folded)


def _spaced(text: str) -> str:
    """The words alone, without case and accents, one blank between two."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("\u2019", "'").replace("'", ""))
    letters = (character if character.isalnum() else " " for character in decomposed if not combining(character))
    return f" {' '.join(''.join(letters).split())} "


_REFUSALS: Final = tuple(_spaced(phrase) for phrases in REFUSALS.values() for phrase in phrases)


def sounds_like_refusal(text: str, own: Own = NONE) -> bool:
    """Whether a person should read this: it is no keyword, but a sentence that may mean one."""
    if classify(text, own) is not None:
        return False
    spaced = _spaced(text[:_LONGEST_READ])
    words = spaced.split()
    stands_out = bool(words) and Keyword.STOP in {classify(words[0], own), classify(words[-1], own)}
    return (stands_out and words[0] not in _HARMLESS) or any(phrase in spaced for phrase in _REFUSALS)
