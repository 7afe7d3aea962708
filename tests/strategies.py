"""What the tests draw from: permutations, layouts, chunkings, tiny networks, and zoos made of them."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call

from stages.nets.registry import build
from stages.params.network import MLP, Network
from stages.store.arrays import create_array, create_group, finish
from stages.store.artifact import artifact_path, building, publish
from stages.store.chunks import ChunkPlan
from stages.store.files import FORMAT_VERSION
from stages.store.layout import Layout
from stages.store.manifest import Manifest
from stages.store.refs import Ref
from stages.store.weights import write_weights
from stages.symmetry.table import Axis, Group, Symmetry


def generators() -> st.SearchStrategy[torch.Generator]:
    return st.integers(0, 2**31 - 1).map(lambda seed: torch.Generator().manual_seed(seed))


def permutations(size: int) -> st.SearchStrategy[Tensor]:
    return st.permutations(range(size)).map(torch.tensor)


@st.composite
def tensor_dicts(draw: st.DrawFn, batch: tuple[int, ...] = ()) -> dict[str, Tensor]:
    """Named float tensors [*batch, *shape] of zero to three axes each, every value different."""
    names = draw(st.lists(st.text("abc.é_0", min_size=1, max_size=6), min_size=1, max_size=5, unique=True))
    shapes = {name: tuple(draw(st.lists(st.integers(1, 4), max_size=3))) for name in names}
    count = iter(range(10**6))
    return {
        name: torch.tensor([next(count) for _ in range(int(np.prod(batch + shape)))]).float().reshape(batch + shape)
        for name, shape in shapes.items()
    }


@st.composite
def chunkings(draw: st.DrawFn, networks: int, parameters: int) -> ChunkPlan:
    """Any cut of an array [networks, parameters], sharded along the parameters or not."""
    rows, columns = draw(st.integers(1, networks)), draw(st.integers(1, parameters))
    gathered = draw(st.none() | st.integers(1, 4))
    return ChunkPlan((rows, columns), None if gathered is None else (rows, gathered * columns))


def mlp_symmetry(network: MLP) -> Symmetry:
    """Typed out: one group per hidden layer, on rows and bias of the layer below and columns of the layer above."""
    groups = {}
    for hidden, size in enumerate(network.widths[1:-1], 1):
        below, above = 2 * hidden - 1, 2 * hidden + 1  # positions in the Sequential
        axes = (Axis(f"{below}.weight", 0, +1), Axis(f"{below}.bias", 0, +1), Axis(f"{above}.weight", 1, -1))
        groups[f"hidden{hidden}"] = Group(size, axes)
    return Symmetry(groups)


@dataclass(frozen=True)
class TinyNet:
    """A ReLU network in double precision: its description, its weights, and what it computes."""

    network: MLP
    weights: dict[str, Tensor]

    @property
    def symmetry(self) -> Symmetry:
        return mlp_symmetry(self.network)

    @property
    def inputs(self) -> Tensor:
        return torch.randn(16, self.network.widths[0], generator=torch.Generator().manual_seed(1)).double()

    def outputs(self, weights: Mapping[str, Tensor]) -> Tensor:
        module = build(self.network).double()
        return functional_call(module, {name: tensor.double() for name, tensor in weights.items()}, (self.inputs,))


def tiny_net(widths: tuple[int, ...], seed: int = 0) -> TinyNet:
    """Every weight and bias standard normal in float32, so that nothing is zero, equal, or special."""
    network, draw = MLP(widths=widths), torch.Generator().manual_seed(seed)
    state = build(network).state_dict()
    return TinyNet(network, {name: torch.randn(tensor.shape, generator=draw) for name, tensor in state.items()})


@st.composite
def tiny_nets(draw: st.DrawFn, *, inputs: int = 3, hidden: tuple[int, int] = (1, 3), units: int = 6) -> TinyNet:
    """Networks with between `hidden[0]` and `hidden[1]` hidden layers of 2 to `units` units each."""
    layers = draw(st.lists(st.integers(2, units), min_size=hidden[0], max_size=hidden[1]))
    net = tiny_net((inputs, *layers, 3), draw(st.integers(0, 2**31 - 1)))
    assume(float(net.outputs(net.weights).std(0).min()) > 0.01)  # not one whose ReLUs are all dead
    return net


def rows_of(module_weights: list[Mapping[str, Tensor]]) -> tuple[Layout, Tensor]:
    """Networks as rows, and their layout."""
    layout = Layout.of(module_weights[0])
    return layout, torch.stack([layout.flatten(weights) for weights in module_weights])


def random_rows(network: MLP, count: int, seed: int = 0) -> tuple[Layout, Tensor]:
    """Untrained networks with all weights and biases drawn."""
    return rows_of([tiny_net(network.widths, 1000 * seed + i).weights for i in range(count)])


def write_zoo(folder: Path, network: Network, rows: Tensor, heldout: int = 2, shard: int = 20) -> Ref:
    """A zoo artifact as stage 1 leaves it, but of the given rows; the last `heldout` are held out. Iris is its task."""
    layout = Layout.of_module(build(network))
    total = len(rows)
    numbers = np.arange(total)
    facts = {
        "seed": numbers,
        "split": np.where(numbers < total - heldout, "train", "held-out").astype(object),
        "initialisation": np.array(["normal"] * total, dtype=object),
        "dataset": np.array(["iris"] * total, dtype=object),
        **{
            name: np.linspace(0.5, 1, total, dtype=np.float32)
            for name in ("train_score", "train_loss", "validation_score", "validation_loss")
        },
    }
    (folder / "shards").mkdir(parents=True)
    attrs = {
        "network": network.model_dump(mode="json"),
        "dataset": {"name": "iris"},
        "stage": "zoo",
        "score": "accuracy",
    }
    for index, start in enumerate(range(0, total, shard)):
        part = slice(start, min(start + shard, total))
        names = [f"member-{i:05d}" for i in numbers[part]]
        here = {name: values[part] for name, values in facts.items()}
        write_weights(folder / "shards" / f"{index:04d}.zarr", layout, names, rows[part], here, attrs)
    return Ref(stage="zoo", key="zoo", path=folder, digest="")


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    """Equal up to `tolerance` of the largest expected value."""
    gap = float(((found - expected).abs().max() / expected.abs().max().clamp_min(1e-300)).detach())
    assert gap <= tolerance, f"relative gap {gap:.2e}"


ARTIFACT_ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def make_artifact(
    root: Path, *, rows: np.ndarray = ARTIFACT_ROWS, notes: str = "some", volatile: str = "now"
) -> Manifest:
    """Build and publish a small artifact of stage `pack` with key `k1`: a store, a file, and two with clock times."""
    with building(root, "pack", "k1") as work:
        shutil.rmtree(work / "weights.zarr", ignore_errors=True)
        (work / "events").mkdir(parents=True, exist_ok=True)
        (work / "events" / "log").write_text(volatile)
        (work / "report.html").write_text(volatile)
        (work / "notes.json").write_text(notes)
        group = create_group(work / "weights.zarr", "weights", {})
        array = create_array(group, "weights", ("network", "parameter"), rows.shape, np.float32, chunks=(2, 3))
        array[...] = rows
        finish(group, work / "weights.zarr")
        return publish(work, artifact_path(root, "pack", "k1"), manifest_facts("pack", "k1"))


def manifest_facts(stage: str, key: str) -> dict[str, Any]:
    """What `publish` wants to know of an artifact that no run made."""
    facts = {name: {} for name in ("params", "upstream", "code", "versions", "summary")}
    times = {"created": "2026-01-01T00:00:00Z", "seconds": 1.0, "peak_memory_mb": 1.0}
    about = {"format_version": FORMAT_VERSION, "stage": stage, "key": key, "experiment": "test"}
    return about | facts | times | {"device": "cpu", "threads": 1}
