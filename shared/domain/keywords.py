"""Words by which a person answers a text: stop, start again, help.

Only a whole message is such a word; a sentence with the word in it is a reply for a human to read.
Case, accents, punctuation and white space do not matter.
"""

import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from unicodedata import combining


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


def classify(text: str) -> Keyword | None:
    """The keyword that a whole inbound text is, if it is one."""
    text = text.strip()
    if len(text) > _LONGEST_LOOKED_AT:
        return None
    return _KEYWORD_OF.get(_folded(text))


def _spaced(text: str) -> str:
    """The words alone, without case and accents, one blank between two."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("\u2019", "'").replace("'", ""))
    letters = (character if character.isalnum() else " " for character in decomposed if not combining(character))
    return f" {' '.join(''.join(letters).split())} "


_REFUSALS: Final = tuple(_spaced(phrase) for phrases in REFUSALS.values() for phrase in phrases)


def sounds_like_refusal(text: str) -> bool:
    """Whether a person should read this: it is no keyword, but a sentence that may mean one."""
    if classify(text) is not None:
        return False
    spaced = _spaced(text[:_LONGEST_READ])
    words = spaced.split()
    stands_out = bool(words) and Keyword.STOP in {_KEYWORD_OF.get(words[0]), _KEYWORD_OF.get(words[-1])}
    return (stands_out and words[0] not in _HARMLESS) or any(phrase in spaced for phrase in _REFUSALS)
