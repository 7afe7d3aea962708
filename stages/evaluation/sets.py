"""The sets of networks that are measured: members, held-out members, generated ones, and what needs no generator."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stages.artifacts.members import UNKNOWN, is_train, network_of
from stages.evaluation import baselines
from stages.evaluation.inputs import Material
from stages.evaluation.metrics import Subject
from stages.nets.initialise import initialise
from stages.nets.normalisation import normalisers
from stages.seeds import generator


class Set(NamedTuple):
    """One set of networks to be measured, its rows made when they are needed."""

    name: str
    role: str
    family: str | None
    rows: Callable[[], Tensor]


def sets(material: Material) -> list[Set]:
    """Everything that is measured, in the order of the report."""
    return [
        Set("members", "members", None, lambda: material.members[material.measured]),
        Set("held-out", "held-out", None, lambda: material.heldout),
        Set("generated", "generated", None, lambda: material.generated),
        *_drawn(material),
        Set("retrieval", "baseline", "retrieval", lambda: baselines.retrieval(material.generated, material.members)),
        Set("fresh", "baseline", "fresh", lambda: fresh(material, material.params.baseline_networks)),
    ]


def subject(material: Material, one: Set) -> Subject:
    """A set with what it does; members and generated networks also with the reference's running statistics."""
    rows, y, copied = one.rows(), material.yardstick, None
    if normalisers(material.completion.module) and one.role in ("members", "generated"):
        copied = material.outcome(rows, material.completion.copied)
    if one.role == "members" and len(rows) == len(y.members):
        done = y.outcome
    elif one.role == "held-out" and y.heldout:
        done = y.heldout[1]
    else:
        done = material.outcome(rows, sizes=material.params.ensemble_sizes if one.role != "baseline" else ())
    found = material.nearest if one.role == "generated" else None
    return Subject(one.role, one.family, rows, done, y, copied, found)


def _drawn(material: Material) -> Iterator[Set]:
    """What anybody can do with the members and no generator."""
    p, members = material.params, material.members
    for level in _with(p.noise_levels, noise_reaching(material)):
        yield _baseline(material, "noise", f"{level:g}", partial(baselines.noise, members, material.spread, level))
    for share in _with(p.interpolation_fractions, interpolation_reaching(material)):
        yield _baseline(material, "interpolation", f"{share:g}", partial(baselines.interpolation, members, share))
    for size in (k for k in p.soup_sizes if k <= len(members)):
        yield _baseline(material, "soup", f"{size}", partial(baselines.soup, members, size))
    yield _baseline(
        material, "gaussian", "null", partial(baselines.gaussian, material.encode(members), material.decode)
    )


def noise_reaching(material: Material) -> float:
    """The level of noise that moves members as far as the generated networks lie from theirs."""
    return float(material.nearest.distance.median() / material.spread.norm())


def interpolation_reaching(material: Material) -> float:
    """The share that does; half the way to another member is the farthest."""
    pair = (2 * torch.from_numpy(material.packed.facts("pca/variance")).sum()).sqrt()  # root mean square distance
    return min(0.5, float(material.nearest.distance.median() / pair))


def _with(levels: Sequence[float], matched: float) -> list[float]:
    """Also the level at the generated networks' own distance: between two others a straight line may flatter them."""
    rounded = float(f"{matched:.3g}")
    return sorted({*levels, *([rounded] if rounded else [])})


def _baseline(material: Material, family: str, level: str, rows: Callable[[int, torch.Generator], Tensor]) -> Set:
    """A baseline that is drawn, from a generator of its own."""
    name = f"{family} {level}"
    draw = generator(material.params.seed, "baseline", name)
    return Set(name, "baseline", family, partial(_chosen, material, rows, draw))


def _chosen(material: Material, rows: Callable[[int, torch.Generator], Tensor], draw: torch.Generator) -> Tensor:
    """The best of as many as were drawn for each generated network (`sample.keep_fraction`), chosen as these were."""
    count, choice, complete = material.params.baseline_networks, material.choice, material.completion
    drawn = rows(len(choice.candidates(0, count)), draw)
    if choice.data is None:
        return drawn
    best = choice.best(complete.module, complete.rows(drawn), count, material.ctx.device)
    return best[:, : material.packed.layout.parameters]


def fresh(material: Material, count: int) -> Tensor:
    """Networks with initial weights such as the members began with, in canonical form."""
    packed, drawn = material.packed, material.packed.layout
    kinds, rows = [str(kind) for kind in packed.facts("initialisation")[is_train(packed).numpy()]], []
    for i in range(count):
        kind: Any = kinds[i % len(kinds)]
        draw = generator(material.params.seed, "fresh", i)
        state = initialise(network_of(packed), "torch" if kind == UNKNOWN else kind, draw)
        rows.append(drawn.flatten({slot.name: state[slot.name] for slot in drawn.slots}))
    return material.placed(torch.stack(rows), "fresh order")
