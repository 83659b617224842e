"""Words by which a person answers a text: stop, start again, help.

Only a whole message is such a word; a sentence with the word in it is a reply for a human to read.
Case, accents, punctuation and white space do not matter.
"""

import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


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
