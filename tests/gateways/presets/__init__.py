"""The presets' tables: every preset has one."""

from tests.gateways.presets import documents, forms
from tests.gateways.presets.cases import Case

CASES: dict[str, Case] = {case.name: case for case in (*forms.CASES, *documents.CASES)}

__all__ = ["CASES", "Case"]
