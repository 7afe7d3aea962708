"""Every architecture that a configuration can name."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, TypeAdapter

from stages.params.base import Params


class MLP(Params):
    """A ReLU multi-layer perceptron; its input is flattened."""

    kind: Literal["mlp"] = "mlp"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2)]
    """Units per layer from input to output, e.g. [784, 32, 32, 10]."""


Network = MLP
"""The union of all descriptions, told apart by `kind`; a new architecture joins it here and in `stages.nets`."""


def network_from(description: dict[str, Any]) -> Network:
    """The network that a store's attributes describe."""
    return TypeAdapter(Network).validate_python(description)
