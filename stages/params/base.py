"""The base of every stage's parameters."""

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Validated, immutable values; an unknown name is an error, not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
