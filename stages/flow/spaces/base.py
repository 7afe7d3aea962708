"""The interface of the spaces that a flow lives on, and how a fitted artifact keeps its space."""

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.params.fit import SpaceParams
from stages.store.checkpoints import load_tensors, save_tensors
from stages.store.weights import Weights

SPACE = "space.safetensors"
MODULES = {"codes": "pca"}
"""Kinds in files whose module has another name."""
State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors, and JSON facts with the `kind` among them."""


class Decoder(ABC):
    """Differentiable decoding on one device, for losses on the networks themselves."""

    @abstractmethod
    def decode_rows(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, "n parameters"]:
        """Rows of weights from points."""

    @abstractmethod
    def decode_velocity(self, velocities: Float[Tensor, "n dim"]) -> Float[Tensor, "n parameters"]:
        """Velocities of rows from velocities of points."""


class Space(ABC):
    """Coordinates of networks, fixed by the training members: packed members become points, and points networks.

    A kind of space is a module of this package with two functions: `make(packed, params)`, and `load(tensors, facts)`,
    the inverse of `state`.
    """

    canonical: ClassVar[bool] = True
    """Whether decoded rows are in the members' canonical form; False where units come in any order."""
    cached: ClassVar[bool] = False
    """Whether members' points are held in memory however many there are, because a few of them are costly to make."""

    @abstractmethod
    def encode(self, packed: Weights, index: np.ndarray) -> Float[Tensor, "index dim"]:
        """Points of the packed networks at these positions."""

    @abstractmethod
    def decode(self, points: Float[Tensor, "n dim"], packed: Weights) -> Float[Tensor, "n parameters"]:
        """Rows of weights from points; `packed` are the networks that the space was made from."""

    def centre(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, " dim"]:
        """The point around which the dispersion of points is measured."""
        return points.mean(0)

    def match_units(self, x0: Float[Tensor, "n dim"], x1: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """The noise x0 with its units reordered to lie nearest to those of x1; as it is where points have no units."""
        del x1
        return x0

    def decoder(self, device: torch.device) -> Decoder:
        """Decoding without the members. Raises NotImplementedError where the space has none."""
        raise NotImplementedError(f"{type(self).__name__} can't be decoded without its members on {device}")

    @abstractmethod
    def state(self) -> State | None:
        """What `load` needs; None: nothing, not even a file."""


def make_space(packed: Weights, params: SpaceParams) -> Space:
    """The space that parameters ask for, made from the training members alone."""
    return _module(params.kind).make(packed, params)


def save_space(folder: Path, space: Space) -> None:
    """Write a space to a fitted artifact's folder."""
    if (state := space.state()) is not None:
        save_tensors(folder / SPACE, *state)


def read_space(folder: Path) -> Space:
    """The space of a fitted artifact; without a file, rows as they are."""
    tensors, facts = load_tensors(folder / SPACE) if (folder / SPACE).exists() else ({}, {"kind": "raw"})
    return _module(MODULES.get(facts["kind"], facts["kind"])).load(tensors, facts)


def _module(kind: str) -> ModuleType:
    """Imported by name, so that an edit of one space fits anew the flows on it and no others.

    The key of fit covers the module by `Params.modules`. Sample and evaluate learn the kind from the fitted artifact,
    whose key is part of theirs, so what they decode with is covered, too.
    """
    return import_module(f"stages.flow.spaces.{kind}")
