"""What every table shares: naming of constraints, types, and enums that come back as enums.

Tables have no behaviour and no relationships; queries join them by ids.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import DateTime, LargeBinary, MetaData, SmallInteger, Text, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

from shared.domain import campaign, contact_field, message

_E = TypeVar("_E", bound=StrEnum)

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Enumerated(TypeDecorator[_E], Generic[_E]):
    """A StrEnum kept as text; a plain text column would hand back `str`, and `status is Status.DRAFT` would lie."""

    impl = Text
    cache_ok = True

    def __init__(self, members: type[_E]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: _E | str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else self.members(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> _E | None:
        del dialect
        return None if value is None else self.members(value)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        UUID: Uuid(as_uuid=True),
        datetime: DateTime(timezone=True),
        str: Text(),
        bytes: LargeBinary(),
        dict[str, Any]: JSONB(),
        list[Any]: JSONB(),
        message.Status: Enumerated(message.Status),
        message.Kind: Enumerated(message.Kind),
        message.SkipReason: Enumerated(message.SkipReason),
        campaign.Status: Enumerated(campaign.Status),
        campaign.StepStatus: Enumerated(campaign.StepStatus),
        campaign.HeldReason: Enumerated(campaign.HeldReason),
        campaign.Which: Enumerated(campaign.Which),
        contact_field.FieldType: Enumerated(contact_field.FieldType),
    }


def small(**options: Any) -> MappedColumn[int]:
    return mapped_column(SmallInteger, **options)
