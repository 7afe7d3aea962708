"""Networks of another generator, read from its files: complete as the flow's are, in whatever order their units are."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.checkpoint_paths import is_named
from stages.context import Context
from stages.errors import Diverged, DwfError, UsageError
from stages.members.failures import together
from stages.members.imported import Member, expected_by, matched, networks_in
from stages.nets.normalisation import running_statistics
from stages.nets.spectral_norm import singular_vector_names
from stages.params.checkpoint_files import CheckpointFiles
from stages.params.imported_sample import ImportedSample
from stages.sampling.completion import Completion
from stages.store.refs import Ref
from stages.store.state_dicts import Expected
from stages.store.weights import Weights

BATCH, VALUES = 256, 2**28
"""Networks read together, but no more than hold this many values (1 GiB)."""


def open_networks(
    params: ImportedSample, packed: Weights, fitted: Ref | None, complete: Completion, ctx: Context
) -> "ReadNetworks":
    """The networks in the files, but for those whose weights aren't finite, which are counted.

    Raises UsageError, Damaged or LayoutMismatch naming all files that can't be read, and Diverged if no network has
    finite weights.
    """
    del packed, fitted  # nothing is drawn from either
    kept = running_statistics(complete.module) if params.batchnorm == "own" else set()
    expected = replace(
        expected_by(params, complete.module),
        defaults={name: value for name, value in complete.reference.items() if name not in kept},
    )
    with _as_of_sample():
        every = networks_in(params, expected, params.paths())
        named = [network for network in every if not is_named(network.name, params.skip)]
        finite = _finite(params, named, expected, ctx)
    if not finite:
        raise Diverged(f"{params.place}: none of {len(named)} networks has finite weights throughout; nothing to judge")
    return ReadNetworks(params, finite, len(named) - len(finite), expected, complete, frozenset(kept))


def _finite(params: ImportedSample, networks: Sequence[Member], expected: Expected, ctx: Context) -> list[Member]:
    """The networks whose values are all finite. Raises what is wrong with any that doesn't fit the architecture."""
    finite, failures = list[Member](), dict[str, DwfError]()
    for i, (network, found) in enumerate(zip(networks, matched(params, networks, expected), strict=True), 1):
        if isinstance(found, DwfError) and not isinstance(found, Diverged):
            failures[network.name] = found
        elif not isinstance(found, Diverged):
            finite.append(network)
        ctx.progress(0.5 * i / len(networks), f"{network.name} checked")
    if failures:
        raise together(failures, len(networks))
    return finite


@contextmanager
def _as_of_sample() -> Iterator[None]:
    """Errors of what reads checkpoints name the keys of a zoo; here those of `sample` are meant."""
    try:
        yield
    except DwfError as error:
        keys = "|".join(CheckpointFiles.model_fields)
        raise type(error)(re.sub(rf"\bzoo\.({keys})\b", r"sample.\1", str(error))) from error


@dataclass(frozen=True)
class ReadNetworks:
    """Networks in files, with the number of those left out; `kept` are the buffers that they keep."""

    params: ImportedSample
    networks: list[Member]
    not_finite: int
    expected: Expected
    complete: Completion
    kept: frozenset[str]

    def __len__(self) -> int:
        return len(self.networks)

    @property
    def batch(self) -> int:
        """How many are read together."""
        return max(1, min(BATCH, VALUES // self.complete.layout.size))

    @property
    def attrs(self) -> dict[str, Any]:
        """That nobody knows the order of their units, how many were read, and whose statistics they keep."""
        counts = {"read": len(self) + self.not_finite, "not_finite": self.not_finite}
        return {"canonical": False, "generator": {**counts, "own_statistics": bool(self.kept)}}

    @property
    def facts(self) -> dict[str, np.ndarray]:
        """The file that each network is from."""
        return {"file": np.array([network.name for network in self.networks], dtype=object)}

    @property
    def summary(self) -> dict[str, Any]:
        """How many were left out."""
        return {"not_finite": self.not_finite}

    def rows(self, start: int, stop: int) -> Tensor:
        """Networks `start` to `stop`: their parameters, buffers that they keep, and the rest as the flow's have it."""
        read = []
        for found in matched(self.params, self.networks[start:stop], self.expected):
            if isinstance(found, DwfError):  # was read a moment ago
                raise found
            read.append(found.row)
        tensors = self.complete.layout.unflatten(torch.stack(read))
        self._check_constants(tensors, start)
        parameters = self.complete.layout.parameter_layout
        drawn = parameters.flatten({slot.name: tensors[slot.name] for slot in parameters.slots})
        measured = self.complete.copied(drawn) if self.kept else self._measured(drawn)
        return self.complete.layout.flatten(tensors | measured | {name: tensors[name] for name in self.kept})

    def _measured(self, drawn: Tensor) -> dict[str, Tensor]:
        """Buffers as the flow's networks have them; statistics of networks that overflow are the reference's."""
        copied, measured = self.complete.copied(drawn), self.complete.measured(drawn)
        return {name: torch.where(values.isfinite(), values, copied[name]) for name, values in measured.items()}

    def _check_constants(self, tensors: dict[str, Tensor], start: int) -> None:
        """Raise UsageError for a buffer that all members share, but these networks don't."""
        module = self.complete.module
        for name in self.complete.reference.keys() - running_statistics(module) - singular_vector_names(module):
            theirs, members = tensors[name], self.complete.reference[name]
            alike = torch.isclose(theirs, members, rtol=0.01, atol=1e-6, equal_nan=True)  # half precision rounds
            if (bad := (~alike.flatten(1).all(1)).nonzero()).numel():
                raise UsageError(
                    f"{self.networks[start + int(bad[0])].name}: buffer {name!r} has other values than the members', "
                    "which all share them, so that it would be judged as another network; generate for these members"
                )
