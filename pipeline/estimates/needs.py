"""The disk and the memory that each stage needs, from its parameters: rough, and for each part what it is due to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.estimates.scale import LARGEST, Scale
from stages.params.evaluate import EvaluateParams
from stages.params.fit import Pca
from stages.params.zoo import Recipe, ZooParams
from stages.store.chunks import MIB, plan_chunks

FLOAT, DOUBLE, NAME = 4, 8, 100
"""Bytes of a weight, of a number in double precision, and of a network's name and facts."""
PROCESS = 900 * MIB
"""Memory of Python with torch, before anything is computed."""
STORE = 25_000
"""Bytes of a store's metadata and small arrays; most of what a tiny zoo takes."""
PAGE = 2 * MIB
"""The report, its pictures and the figures behind it."""
BLOCK = 2**27
"""Values of members that canonicalize holds at once."""
BATCH = 256
"""Networks carried by the flow at once."""
STACKED = 300_000
"""Parameters below which networks may be trained together."""


@dataclass(frozen=True)
class Part:
    """Bytes that grow with parameters: so many for each unit of the product of their values."""

    unit: float
    factors: Mapping[str, int]

    @property
    def size(self) -> float:
        """Bytes; of absurd parameters not more than a float holds."""
        return self.unit * math.prod(float(min(value, LARGEST)) for value in self.factors.values())

    @property
    def cause(self) -> str:
        """The parameter to lower: the largest factor."""
        return max(self.factors, key=lambda name: self.factors[name])


@dataclass(frozen=True)
class Need:
    """Bytes that are there in any case, and parts that parameters decide."""

    fixed: float
    parts: tuple[Part, ...]

    @property
    def size(self) -> float:
        """All bytes."""
        return self.fixed + sum(part.size for part in self.parts)

    @property
    def cause(self) -> str:
        """The parameter to lower if this is too much."""
        return max(self.parts, key=lambda part: part.size).cause


def disk(stage: str, scale: Scale) -> Need:
    """Bytes that a stage writes below the store, the most at any time."""
    weights = {"zoo.network": scale.network.values}
    packed, generated = {"zoo.members": scale.packed}, {"sample.networks": scale.generated}
    match stage:
        case "zoo":
            rows = Part(FLOAT, packed | weights), Part(NAME, packed)
            shards = min(-(-scale.packed // _shard_size(scale)), LARGEST)
            return Need(STORE * shards, rows)
        case "canonicalize":
            moved = Part(DOUBLE, packed | {"zoo.network": scale.network.units})
            return Need(STORE, (moved, Part(FLOAT, weights), Part(NAME, packed)))
        case "pack":
            rows = Part(FLOAT, packed | weights), Part(NAME, packed)
            return Need(2 * STORE, (*rows, Part(DOUBLE, _gram(scale))))
        case "fit":
            flow = Part(6 * FLOAT, {_flow_cause(scale): scale.velocity.parameters})
            codes = (Part(DOUBLE, packed | {"fit.space.components": scale.dim}),)
            events = Part(15_000, {"zoo.network": 30})  # a histogram for each tensor, at ten of the checks
            return Need(0, (flow, events, *(codes if isinstance(scale.fit.space, Pca) else ())))
        case "sample":
            return Need(STORE, (Part(FLOAT, generated | weights), Part(NAME, generated)))
        case "evaluate":
            return Need(STORE * (3 + scale.baselines), (Part(NAME, generated), Part(NAME, packed)))
        case _:
            return Need(PAGE, (Part(NAME, {"sample.networks": 1}),))


def memory(stage: str, scale: Scale, *, gpu: bool = False) -> Need:
    """The most memory that a stage holds; what a GPU would hold in its place is left out."""
    makers = {
        "zoo": _zoo_memory,
        "canonicalize": _canonicalize_memory,
        "pack": _pack_memory,
        "fit": _fit_memory,
        "sample": _sample_memory,
        "evaluate": _evaluate_memory,
    }
    parts = makers[stage](scale, gpu) if stage in makers else ()
    return Need(PROCESS, (*parts, Part(NAME, {"zoo.members": scale.packed})))


def _zoo_memory(scale: Scale, gpu: bool) -> tuple[Part, ...]:
    """A shard's rows, and the state of training; shards go side by side."""
    zoo, network, shard = scale.experiment.zoo, scale.network, _shard_size(scale)
    side_by_side = min(scale.experiment.threads, -(-scale.packed // shard))
    together = {"zoo.shard_size": min(shard, scale.packed) * side_by_side, "zoo.network": network.values}
    parts = [Part(2 * FLOAT, together), Part(4 * FLOAT, {"zoo.dataset": scale.examples[0] * scale.features})]
    if isinstance(zoo, ZooParams) and not gpu:
        trained = together if network.parameters < STACKED else {"zoo.network": side_by_side * network.values}
        parts.append(Part(4 * FLOAT, trained))  # weights, gradients, the optimizer's two averages
        if isinstance(zoo.recipe, Recipe):
            stacked = trained.get("zoo.shard_size", side_by_side)
            shown = min(zoo.recipe.batch, scale.examples[0])
            parts.append(Part(FLOAT, {"zoo.recipe.batch": shown * stacked, "zoo.network": network.activations}))
    return tuple(parts)


def _canonicalize_memory(scale: Scale, gpu: bool) -> tuple[Part, ...]:
    """A block of members, as trained and in canonical form, also in double precision."""
    del gpu
    at_once = max(1, min(scale.packed, 500, BLOCK // scale.network.values))
    return (Part(6 * FLOAT, {"zoo.members": at_once, "zoo.network": scale.network.values}),)


def _pack_memory(scale: Scale, gpu: bool) -> tuple[Part, ...]:
    """A column of chunks, and the Gram matrix with what its eigenvalues take."""
    del gpu
    return (_column(scale), Part(4 * DOUBLE, _gram(scale)))


def _fit_memory(scale: Scale, gpu: bool) -> tuple[Part, ...]:
    """Members' points, the flow's weights several times over, and a batch."""
    fit, velocity = scale.fit, scale.velocity
    points = {"zoo.members": scale.members, _dim_cause(scale): scale.dim}
    cached = isinstance(fit.space, Pca) or Part(FLOAT, points).size <= fit.max_memory_gib * 1024 * MIB
    parts = [Part(FLOAT, points)] if cached else []
    if isinstance(fit.space, Pca):
        parts.append(Part(3 * DOUBLE, _gram(scale)))
    if not gpu:
        parts += [
            Part(7 * FLOAT, {_flow_cause(scale): velocity.parameters}),
            Part(FLOAT, {"fit.batch": fit.batch, "fit.velocity": velocity.activations}),
        ]
    return (*parts, Part(10 * FLOAT, {"fit.batch": fit.batch, _dim_cause(scale): scale.dim}))


def _sample_memory(scale: Scale, gpu: bool) -> tuple[Part, ...]:
    """A batch of networks, and a column of chunks where these are mixtures of members."""
    del gpu
    weights, at_once = {"zoo.network": scale.network.values}, {"sample.networks": min(BATCH, scale.generated)}
    drawn = int(min(1 / scale.experiment.sample.keep_fraction, LARGEST))
    parts = [
        Part(4 * FLOAT, at_once | weights | {"sample.keep_fraction": drawn}),
        Part(NAME, {"sample.networks": scale.generated}),
    ]
    return (*parts, _column(scale)) if scale.experiment.fits and isinstance(scale.fit.space, Pca) else tuple(parts)


def _evaluate_memory(scale: Scale, gpu: bool) -> tuple[Part, ...]:
    """All rows, distances of all to all, and every network's errors on the test data."""
    del gpu
    params: EvaluateParams = scale.experiment.evaluate
    weights, test = {"zoo.network": scale.network.parameters}, {"zoo.dataset": scale.examples[1]}
    measured, heldout = min(scale.members, params.max_members), min(scale.heldout, params.max_members)
    baseline = {"evaluate.baseline_networks": params.baseline_networks}
    generated, members = {"sample.networks": scale.generated}, {"zoo.members": scale.members}
    return (
        Part(5 * FLOAT, members | weights),
        Part(FLOAT, {"zoo.heldout": heldout} | weights),
        Part(3 * FLOAT, generated | weights),
        Part(3 * FLOAT, baseline | weights),
        Part(3 * DOUBLE, {"sample.networks": scale.generated**2}),  # each one's distance to every other
        Part(3 * DOUBLE, {"evaluate.baseline_networks": params.baseline_networks**2}),
        Part(DOUBLE, {"evaluate.max_members": measured} | members),
        *(Part(2 * FLOAT, some | test) for some in (generated, members, {"zoo.heldout": heldout}, baseline)),
    )


def _gram(scale: Scale) -> dict[str, int]:
    """The smaller side of all rows, squared: what principal components are computed from."""
    few = scale.network.parameters < scale.packed
    if few:
        return {"zoo.network": scale.network.parameters**2}
    return {"zoo.members": scale.packed**2}


def _column(scale: Scale) -> Part:
    """A column of chunks of all members, and the same again centred."""
    columns = plan_chunks(scale.packed, min(scale.network.parameters, LARGEST)).chunk[1]
    return Part(3 * FLOAT, {"zoo.members": scale.packed, "zoo.network": columns})


def _shard_size(scale: Scale) -> int:
    """Members of a shard; of imported ones as many as make a gigabyte, 500 at most."""
    few = max(1, min(500, 2**30 // (FLOAT * scale.network.values)))
    return scale.experiment.zoo.shard_size or few


def _dim_cause(scale: Scale) -> str:
    return "fit.space.components" if isinstance(scale.fit.space, Pca) else "zoo.network"


def _flow_cause(scale: Scale) -> str:
    """What makes the velocity network large."""
    width = "hidden" if scale.fit.velocity.kind == "mlp" else "width"
    return f"fit.velocity.{width}" if getattr(scale.fit.velocity, width) ** 2 >= scale.dim else _dim_cause(scale)
