"""The base of every stage's parameters."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

P = TypeVar("P", bound=BaseModel)
Seed = Annotated[int, Field(ge=0, lt=2**64)]
"""A seed of random draws: 64 bits, as generators take them."""


class Params(BaseModel):
    """Validated, immutable values; an unknown name is an error, not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    def fingerprint(self) -> dict[str, Any]:
        """What enters the stage's key: the values, and in the place of a file's name what the file holds."""
        values = self.model_dump(mode="json")
        return {name: _fingerprint(value, values[name]) for name, value in self}

    def modules(self) -> tuple[str, ...]:
        """Modules that these parameters, or sections of them, choose by name; their sources enter the stage's key."""
        values = [item for _, value in self for item in (value if isinstance(value, tuple) else (value,))]
        names = [name for value in values if isinstance(value, Params) for name in value.modules()]
        return tuple(dict.fromkeys(names))

    def below(self: P, folder: Path) -> P:
        """A copy in which relative paths, of sections too, are taken from a folder."""
        moved = ((name, value, _below(value, folder)) for name, value in self)
        return self.model_copy(update={name: new for name, old, new in moved if new != old})


def below(folder: Path, path: str) -> str:
    """A path or shell pattern, if relative taken from a folder; `~` is the home folder."""
    return str(folder / Path(path).expanduser())


def _below(value: Any, folder: Path) -> Any:
    if isinstance(value, tuple):
        return tuple(_below(item, folder) for item in value)
    return value.below(folder) if isinstance(value, Params) else value


def _fingerprint(value: Any, dumped: Any) -> Any:
    """The fingerprints of sections in a value, in the place of what is dumped of them."""
    if isinstance(value, tuple):
        return [_fingerprint(item, part) for item, part in zip(value, dumped, strict=True)]
    return value.fingerprint() if isinstance(value, Params) else dumped
