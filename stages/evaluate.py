"""Stage 6: are the generated networks as good as trained ones, and are they new?"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from torch import Tensor

from stages.artifacts.alignment import ALIGNMENT, read_aligner, read_reference
from stages.artifacts.complete import Completion, completion
from stages.artifacts.fitted import CURVES
from stages.artifacts.members import UNKNOWN, is_train, network_of, open_weights
from stages.audit import baselines, novelty, pictures
from stages.audit.figures import Subject, Yardstick, measure, per_network
from stages.audit.outcome import Outcome, outcome
from stages.audit.report import write_report
from stages.audit.verdict import verdict
from stages.audit.words import score_of
from stages.context import Context, torch_threads
from stages.datasets import Test, load_test
from stages.errors import NotComplete
from stages.flow.codes import Codes, effective_rank, principal_codes
from stages.nets.initialise import initialise
from stages.nets.normalisation import normalisers
from stages.nets.stacked import outputs
from stages.params.batchnorm import BatchNorm
from stages.params.dataset import dataset_from
from stages.params.evaluate import EvaluateParams
from stages.seeds import generator
from stages.store.arrays import Named, open_group, read, write_arrays
from stages.store.artifact import now, read_manifest
from stages.store.files import write_json
from stages.store.refs import Ref
from stages.store.weights import Weights
from stages.training.task import score_name

SCHEMA = 2
BLOCK = 64
"""Networks whose outputs are held at once."""
POINTS = 200
"""Networks per set whose own figures go into figures.json, for plots; figures.zarr has all."""


def evaluate(zoo: Ref, canonical: Ref, packed: Ref, fitted: Ref, sampled: Ref, params: EvaluateParams,
             ctx: Context) -> dict[str, Any]:  # fmt: skip
    """Measure members, held-out members, generated networks and baselines alike, on the test data.

    Each set is a unit that survives a kill. Of a zoo without data only weights are compared. Writes figures.json,
    figures.zarr and report.html. Raises DataMissing.
    """
    with torch_threads(ctx.threads):
        audit = _Audit(open_weights(packed), open_weights(sampled), canonical.path, params, ctx)
        measured = dict(audit.measured())
        figures = audit.figures(measured) | {"curves": _curves(fitted.path), "alignment": _alignment(canonical.path)}
    write_json(ctx.out / "figures.json", figures)
    write_arrays(ctx.out / "figures.zarr", "figures", _arrays(measured), {"tau": audit.yardstick.tau})
    about = _about(
        {"zoo": zoo, "canonicalize": canonical, "pack": packed, "fit": fitted, "sample": sampled}, params, ctx
    )
    write_report(ctx.out / "report.html", figures, about)
    for unit in (ctx.out / "sets").iterdir():
        unit.unlink()
    (ctx.out / "sets").rmdir()
    told = {"verdict": figures["verdict"]["text"]}
    return told | ({figures["score"]: figures["sets"]["generated"]["score"]["mean"]} if figures["score"] else {})


class _Set(NamedTuple):
    """One set of networks to be measured, its rows made when they are needed."""

    name: str
    role: str
    family: str | None
    rows: Callable[[], Tensor]


@dataclass(frozen=True)
class _Audit:
    packed: Weights
    sampled: Weights
    canonical: Path
    params: EvaluateParams
    ctx: Context

    @cached_property
    def completion(self) -> Completion:
        how = self.sampled.attrs.get("batchnorm") or {}  # as the generated networks were completed, so are all others
        return completion(self.packed, BatchNorm.model_validate(how), self.ctx)

    @cached_property
    def test(self) -> Test | None:
        described = self.packed.attrs["dataset"]
        return load_test(dataset_from(described), self.ctx.data_root) if described else None

    @cached_property
    def members(self) -> Tensor:
        return self.packed.rows()[is_train(self.packed)]

    @cached_property
    def generated(self) -> Tensor:
        """The parameters that were drawn; what completes the sampled rows comes after them."""
        return self.sampled.rows()[:, : self.packed.layout.parameters]

    @cached_property
    def mean(self) -> Tensor:
        return torch.from_numpy(self.packed.facts("pca/mean"))

    @cached_property
    def codes(self) -> Codes:
        fits = is_train(self.packed)
        return principal_codes(torch.from_numpy(self.packed.facts("pca/gram"))[fits][:, fits], None, whiten=True)

    def encode(self, rows: Tensor) -> Tensor:
        return self.codes.encode((rows - self.mean) @ (self.members - self.mean).T)

    def decode(self, codes: Tensor) -> Tensor:
        return self.mean + self.codes.mixture(codes).float() @ (self.members - self.mean)

    def outcome(self, rows: Tensor, buffers: Callable[[Tensor], Mapping[str, Tensor]]) -> Outcome | None:
        """What networks with these buffers do on the test data, a block of networks at a time."""
        return None if self.test is None else outcome(self._outputs(rows, buffers, self.test), self.test.targets)

    def _outputs(self, rows: Tensor, buffers: Callable[[Tensor], Mapping[str, Tensor]], test: Test) -> Iterator[Tensor]:
        device, module, layout = self.ctx.device, self.completion.module, self.packed.layout
        for block in rows.split(BLOCK):
            moved = {name: tensor.to(device) for name, tensor in buffers(block).items()}
            yield outputs(module, layout, block.to(device), test.inputs.to(device), moved).cpu()

    @cached_property
    def yardstick(self) -> Yardstick:
        """The members' own figures set the bars: a low quantile of their scores, and tau."""
        tau = float(novelty.nearest(self.members, self.members, themselves=True)[0].median())
        done = self.outcome(self.members, self.completion.measured)
        bar = float(torch.quantile(done.scores, self.params.bar_quantile)) if done else None
        return Yardstick(self.members, self.encode, tau, self.params.margins, done, bar)

    def subject(self, one: "_Set") -> Subject:
        """A set with what it does; members and generated networks also with the reference's running statistics."""
        rows, copied = one.rows(), None
        if normalisers(self.completion.module) and one.role in ("members", "generated"):
            copied = self.outcome(rows, self.completion.copied)
        done = self.yardstick.outcome if one.role == "members" else self.outcome(rows, self.completion.measured)
        return Subject(one.role, one.family, rows, done, self.yardstick, copied)

    def sets(self) -> list[_Set]:
        """Everything that is measured, in the order of the report."""
        heldout = ~is_train(self.packed)
        return [
            _Set("members", "members", None, lambda: self.members),
            _Set("held-out", "held-out", None, lambda: self.packed.rows()[heldout]),
            _Set("generated", "generated", None, lambda: self.generated),
            *self._baselines(),
        ]

    def _baselines(self) -> Iterator[_Set]:
        """What anybody can do with the members and no generator."""
        p, members, spread = self.params, self.members, self._spread()
        for level in p.noise:
            yield self._baseline("noise", f"{level:g}", partial(baselines.noise, members, spread, level))
        for share in p.interpolation:
            yield self._baseline("interpolation", f"{share:g}", partial(baselines.interpolation, members, share))
        for size in (k for k in p.soup if k <= len(members)):
            yield self._baseline("soup", f"{size}", partial(baselines.soup, members, size))
        yield self._baseline("gaussian", "null", partial(baselines.gaussian, self.encode(members), self.decode))
        yield _Set("retrieval", "baseline", "retrieval", lambda: baselines.retrieval(self.generated, members))
        yield _Set("fresh", "baseline", "fresh", lambda: self._fresh(p.baseline))

    def _baseline(self, family: str, level: str, rows: Callable[[int, torch.Generator], Tensor]) -> _Set:
        """A baseline that is drawn, from a generator of its own."""
        name = f"{family} {level}"
        draw = generator(self.params.seed, "baseline", name)
        return _Set(name, "baseline", family, partial(rows, self.params.baseline, draw))

    def _spread(self) -> Tensor:
        """The standard deviation of each tensor's values, for every parameter in it."""
        stds = torch.from_numpy(self.packed.facts("layout/std")).float()
        return stds.repeat_interleave(torch.tensor([slot.size for slot in self.packed.layout.slots]))

    def _fresh(self, count: int) -> Tensor:
        """Networks with initial weights such as the members began with, aligned to the zoo's reference as they were."""
        network, layout, rows = network_of(self.packed), self.completion.layout, []
        kinds = [str(kind) for kind in self.packed.facts("initialisation")[is_train(self.packed).numpy()]]
        aligner, drawn = read_aligner(self.canonical / ALIGNMENT), self.packed.layout
        target, names = layout.unflatten(read_reference(self.canonical / ALIGNMENT)), [s.name for s in drawn.slots]
        for i in range(count):
            kind: Any = kinds[i % len(kinds)]
            state = initialise(network, "torch" if kind == UNKNOWN else kind, generator(self.params.seed, "fresh", i))
            element = aligner.element(target, state, names, generator(self.params.seed, "fresh order", i))
            rows.append(layout.flatten(aligner.symmetry.act(element, state))[: drawn.parameters])
        return torch.stack(rows)

    def measured(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each set's figures and its networks' own; sets measured before a kill are read."""
        folder = self.ctx.out / "sets"
        folder.mkdir(exist_ok=True)
        sets = self.sets()
        for i, one in enumerate(sets):
            path = folder / f"{one.name.replace(' ', '-')}.json"
            self.ctx.progress(i / len(sets), one.name)
            if not path.exists():
                subject = self.subject(one)
                write_json(path, {"figures": measure(subject), "networks": per_network(subject)})
            yield one.name, json.loads(path.read_text())

    def figures(self, measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """What figures.json says, apart from what other stages recorded."""
        sets = {name: unit["figures"] | {"points": _first(unit["networks"])} for name, unit in measured.items()}
        variance = torch.from_numpy(self.packed.facts("pca/variance"))
        score = score_name(self.test.targets) if self.test else None
        return {
            "schema": SCHEMA,
            "dataset": self.packed.attrs["dataset"],
            "network": self.packed.attrs["network"],
            "parameters": self.packed.layout.parameters,
            "test_examples": len(self.test.targets) if self.test else None,
            "score": score,
            "bar": self.yardstick.bar,
            "tolerance": self.yardstick.tolerance,
            "bar_quantile": self.params.bar_quantile,
            "tau": self.yardstick.tau,
            "verdict": verdict(sets, score_of({"score": score})),
            "sets": sets,
            "spectrum": {"variance": variance.tolist(), "effective_rank": effective_rank(variance), "networks": len(self.members)},
            **pictures.pictures(self.packed.layout.unflatten(self.members), self.packed.layout.unflatten(self.generated),
                                tuple(self.test.inputs.shape[1:]) if self.test else ()),
        }  # fmt: skip


def _first(networks: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: values[:POINTS] for name, values in networks.items()}


def _arrays(measured: dict[str, dict[str, Any]]) -> dict[str, Named]:
    """Every network's own figures, one group per set."""
    return {
        f"{name.replace(' ', '-')}/{figure}": Named(("network",), np.array(values))
        for name, unit in measured.items()
        for figure, values in unit["networks"].items()
    }


def _curves(fitted: Path) -> dict[str, list[float]]:
    with (fitted / CURVES).open(newline="") as file:
        header, *lines = csv.reader(file)
    return {name: [float(line[i]) for line in lines] for i, name in enumerate(header)}


def _alignment(canonical: Path) -> dict[str, Any]:
    group = open_group(canonical / ALIGNMENT)
    values = {name: read(group, name) for name in ("distance_before", "distance_after", "output_gap")}
    kept = {name: values[name].tolist() for name in ("distance_before", "distance_after")}
    return kept | {"largest_output_gap": float(values["output_gap"].max())}


def _about(refs: dict[str, Ref], params: EvaluateParams, ctx: Context) -> dict[str, Any]:
    """What was run: lineage, configuration, hardware; facts with clock times, so not part of the figures."""
    lineage, config, about = [], {}, {}
    for stage, ref in refs.items():
        try:
            manifest = read_manifest(ref.path)
        except NotComplete:  # a stage called by hand, outside any store
            continue
        config[stage] = manifest.params
        lineage.append({"stage": stage, "key": ref.key, "seconds": manifest.seconds, "summary": manifest.summary})
        about |= {"experiment": manifest.experiment, "versions": manifest.versions,
                  "hardware": {"device": manifest.device, "threads": manifest.threads}}  # fmt: skip
    config["evaluate"] = params.model_dump(mode="json")
    return {"experiment": ctx.out.stem, "created": now(), "lineage": lineage, **about,
            "config": yaml.safe_dump(config, sort_keys=False)}  # fmt: skip
