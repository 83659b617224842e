"""What bodies have in common: an unknown field is refused by its name, an answer is read from rows."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator
from pydantic_core import PydanticCustomError

NUL_REFUSED: Final = "nul_refused"


class Body(BaseModel):
    """What a client sends. No text in it holds a NUL character, at any depth: the database stores none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="after")
    @classmethod
    def _no_nul(cls, value: Any) -> Any:
        path = _path_to_nul(value)
        if path is not None:
            raise PydanticCustomError(
                NUL_REFUSED, "The text holds a NUL character (U+0000); remove it.", {"path": path}
            )
        return value


class Out(BaseModel):
    """What a client is told."""

    model_config = ConfigDict(from_attributes=True)


def _path_to_nul(value: object) -> tuple[str | int, ...] | None:
    """The way from the value to the first text with a NUL in it, empty for the value itself; None without one."""
    waiting: list[tuple[tuple[str | int, ...], object]] = [((), value)]
    while waiting:
        path, node = waiting.pop()
        match node:
            case str() if "\0" in node:
                return path
            case SecretStr():
                waiting.append((path, node.get_secret_value()))
            case dict():
                spoilt = next((name for name in node if isinstance(name, str) and "\0" in name), None)
                if spoilt is not None:
                    return (*path, spoilt)
                waiting += reversed([((*path, name), each) for name, each in node.items()])
            case list() | tuple():
                waiting += reversed([((*path, place), each) for place, each in enumerate(node)])
            case _:
                pass
    return None
