"""Any torch model that a configuration can name."""

import json
import re
from typing import Annotated, Literal

from pydantic import Field, JsonValue, PositiveInt, model_validator

from stages.params.architecture import Architecture

WEIGHTS = ("pretrained", "weights", "weights_backbone", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay")
"""Arguments by which libraries fetch somebody's weights."""
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_][\w.]*")
"""A module, a colon, and a name in it."""


class Model(Architecture):
    """Any torch model by the name of what makes it, with weights of its own initialisation."""

    kind: Literal["model"] = "model"
    model: str
    """`timm:vit_tiny_patch16_224`, `torchvision:resnet34`, or `package.module:factory`."""
    kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """What it is called with."""
    input: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    """Shape of one example, e.g. [3, 224, 224]."""
    vocabulary: int | None = Field(default=None, ge=2)
    """Examples are token numbers below this, 0 being padding. None: they are real numbers."""

    @model_validator(mode="after")
    def _sound(self) -> "Model":
        if not NAME.fullmatch(self.model):
            raise ValueError(
                f"{self.model!r} names no model; expected timm:NAME, torchvision:NAME or package.module:factory"
            )
        if refused := [name for name in WEIGHTS if name in self.kwargs]:
            raise ValueError(f"kwargs.{refused[0]}: no weights are ever fetched for a network; leave it out")
        return self

    def __hash__(self) -> int:
        """Equal descriptions have equal hashes; a dict has none."""
        return hash(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    def modules(self) -> tuple[str, ...]:
        """Also the module of the user's own factory."""
        package = self.model.partition(":")[0]
        return super().modules() + (() if package in ("timm", "torchvision") else (package,))

    @property
    def shape(self) -> tuple[int, ...]:
        """`input`."""
        return self.input

    @property
    def tokens(self) -> int | None:
        """`vocabulary`."""
        return self.vocabulary
