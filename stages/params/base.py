"""The base of every stage's parameters."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Validated, immutable values; an unknown name is an error, not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    def fingerprint(self) -> dict[str, Any]:
        """What enters the stage's key: the values, and in the place of a file's name what the file holds."""
        return self.model_dump(mode="json")

    def modules(self) -> tuple[str, ...]:
        """Modules that these parameters, or sections of them, choose by name; their sources enter the stage's key."""
        values = [item for _, value in self for item in (value if isinstance(value, tuple) else (value,))]
        names = [name for value in values if isinstance(value, Params) for name in value.modules()]
        return tuple(dict.fromkeys(names))

    def below(self, folder: Path) -> "Params":
        """The same with relative paths, if there are any, taken from a folder."""
        del folder
        return self
