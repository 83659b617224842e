"""What columns are called, in the languages whose words for stop are built in. Names only: who reads them decides.

They are compared by `form_of`: letters and digits alone, without case and accents.
"""

import re
from collections.abc import Mapping
from typing import Final
from unicodedata import combining, normalize

_NO_LETTERS: Final = re.compile(r"[\W_]+")

# In order of precedence: a file with both `phone` and `mobile` means `phone`, as the contract names it.
NUMBER_NAMES: Final = (
    *("msisdn", "phone", "mobile", "cell", "phone_number", "mobile_number", "cell_number", "cellphone", "cell_phone"),
    *("mobile_phone", "telephone", "telephone_number", "tel", "number", "contact_number"),
    # de
    *("handy", "handynummer", "handynr", "mobil", "mobilnummer", "mobiltelefon", "mobilfunknummer", "mobilfunk"),
    *("telefon", "telefonnummer", "tel_nr", "telefonnr", "rufnummer"),
    # fr
    *("portable", "téléphone_portable", "numéro_de_portable", "téléphone", "numéro_de_téléphone", "gsm"),
    # es, pt
    *("móvil", "celular", "telemóvel", "teléfono_móvil", "teléfono", "número_de_teléfono", "telefone"),
    "número_de_telefone",
    # it
    *("cellulare", "telefono_cellulare", "numero_di_telefono"),
    # nl, af
    *("mobiel", "mobiel_nummer", "selfoon", "selfoonnommer", "telefoon", "telefoonnummer", "telefoonnommer"),
)
# What stands for each of a contact's own, beside its own name.
OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("full_name", "vollständiger_name", "nom_complet", "nombre_completo", "nome_completo", "naam"),
    "time_zone": ("zeitzone", "fuseau_horaire", "zona_horaria", "fuso_horário", "fuso_orario", "tijdzone", "tydsone"),
}
# Of a file without a column for the whole name; `nombre` and `nome` are first names where a family's stands beside.
GIVEN_NAMES: Final = ("first_name", "given_name", "forename", "vorname", "prénom", "nombre", "nome", "voornaam")
FAMILY_NAMES: Final = (
    *("last_name", "surname", "family_name", "nachname", "familienname", "zuname", "nom", "nom_de_famille"),
    *("apellido", "apellidos", "apelido", "sobrenome", "cognome", "achternaam"),
)


def form_of(header: str) -> str:
    """A name as it is compared: `Phone Number`, `phone-number` and `phoneNumber` are one, `Tél.` and `TEL` another."""
    plain = "".join(each for each in normalize("NFKD", header.lower()) if not combining(each))
    return _NO_LETTERS.sub("", plain)
