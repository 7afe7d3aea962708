"""A data set kind, an architecture, a zoo source, a solver and a velocity network, each added by two files."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from smoke import PROJECT

from pipeline import keys
from pipeline.config import load
from stages.params.dataset import Images

READER = """
import numpy as np
import torch
from stages.datasets.examples import Examples

def read(dataset, root, *, train):
    inputs = np.linspace(0, 9, 40 if train else 20)[:, None] * np.ones(3)
    return Examples(inputs, (inputs[:, 0] > 5).astype(np.int64))

def encoder(dataset, fitted):
    return lambda examples: torch.from_numpy(examples.inputs / fitted().inputs.max()).float()


def describe(dataset):
    return "waves"
"""
DATASET = """
class Waves(Labelled):
    reader = "waves"
    name: Literal["waves"]

"""
BUILD = """
from torch import nn

def build(network):
    return nn.Sequential(nn.Flatten(), nn.Linear(network.inputs, 2))
"""
NETWORK = """
class Affine(Architecture):
    kind: Literal["affine"] = "affine"
    inputs: int

    @property
    def shape(self):
        return (self.inputs,)

"""
SOURCE = """
import numpy as np
import torch
from stages.members.shards import cut

def shards(params):
    return cut(params.count, 3)

def make(params, shard, module, data, ctx):
    numbers = np.arange(shard.start, shard.stop)
    facts = {"split": np.where(numbers % 2, "train", "held-out"), "dataset": np.full(len(numbers), next(iter(data)))}
    facts |= {"initialisation": np.full(len(numbers), "unknown")}
    facts = {name: values.astype(object) for name, values in facts.items()}
    rows = torch.from_numpy(numbers).float()[:, None].expand(-1, 8)
    return rows, facts | {"seed": numbers, "attempt": 0 * numbers}

def summarize(params, zoo):
    return {"largest": float(zoo.rows(0, len(zoo)).max())}
"""
ZOO = """
class CountedZoo(Params):
    source: Literal["counted"]
    dataset: Dataset
    network: Network
    count: int

    @property
    def datasets(self):
        return {self.dataset.name: self.dataset}

    def modules(self):
        return (f"stages.members.sources.{self.source}", *super().modules())

"""
RUN = """
import json, sys
from pathlib import Path
from pydantic import TypeAdapter
from pipeline.keys import sources
from stages.context import Context
from stages.datasets import load_test
from stages.params.zoo import Zoo
from stages.zoo import zoo

network = {"kind": "affine", "inputs": 3}
params = TypeAdapter(Zoo).validate_python(
    {"source": "counted", "dataset": "waves", "network": network, "count": 4}
)
summary = zoo(params, Context(Path(sys.argv[1]), threads=1))
print(json.dumps([summary, len(load_test(params.dataset, Path()).targets), list(sources("zoo", params.modules()))]))
"""


def add(root: Path, module: str, source: str, params: str, description: str, union: str, name: str) -> None:
    """Write a new module, its description before the line of the union that it joins, and its name into that line."""
    (root / module).write_text(source)
    path = root / params
    text = path.read_text()
    assert text.count(union) == 1, "the union is written in another way now"
    extended = description + re.sub(r",(\s+)Field", rf" | {name},\1Field", union)
    path.write_text(text.replace(union, extended))


@pytest.mark.slow
def test_each_is_added_by_two_files_and_found_by_name_and_by_keys(tmp_path: Path):
    for package in ("pipeline", "stages"):
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    sources = "ZooParams | ImportedZoo | RunFoldersZoo | MatrixZoo"
    unions = ("BuiltIn = Annotated[Table | Images | Texts, Field", f"Zoo = Annotated[\n    {sources},\n    Field")
    network = "Network = Annotated[MLP | CNN | ResNet | ResNet18 | ViT | Bert | Model, Field"
    add(tmp_path, "stages/datasets/waves.py", READER, "stages/params/dataset.py", DATASET, unions[0], "Waves")
    add(tmp_path, "stages/nets/affine.py", BUILD, "stages/params/network.py", NETWORK, network, "Affine")
    add(tmp_path, "stages/members/sources/counted.py", SOURCE, "stages/params/zoo.py", ZOO, unions[1], "CountedZoo")
    command = [sys.executable, "-c", RUN, str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary, tested, keyed = json.loads(done.stdout)
    assert (summary["networks"], summary["parameters"], summary["largest"]) == (4, 8, 3.0)
    assert 0 <= summary["validation_accuracy"] <= 1
    assert tested == 20
    assert {"stages/datasets/waves.py", "stages/nets/affine.py", "stages/members/sources/counted.py"} <= set(keyed)
    assert "stages/members/sources/train.py" not in keyed


def test_the_key_of_a_zoo_covers_its_own_source_and_readers_alone():
    zoo = load(PROJECT / "conf" / "smoke.yaml").zoo
    keyed = keys.sources("zoo", zoo.modules())
    assert {"stages/members/sources/train.py", "stages/datasets/tables.py"} <= set(keyed)
    others = ("members/sources/checkpoints", "store/checkpoint_files", "store/state_dicts")
    assert not {f"stages/{name}.py" for name in (*others, "datasets/images", "datasets/texts")} & set(keyed)
    several = zoo.model_copy(update={"other_datasets": (Images(name="mnist"),)})
    assert "stages/datasets/images.py" in keys.sources("zoo", several.modules())


@pytest.mark.parametrize(("reader", "changes"), [("tables", True), ("texts", False)])
def test_an_edit_of_a_reader_changes_every_key_of_its_data_s_zoos_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, changes: bool
):
    """Later stages load data by the description in a store: what they are keyed by is the zoo's key."""
    from pipeline.runner import Runner

    before = [planned.key for planned in Runner(load(PROJECT / "conf" / "smoke.yaml", store=tmp_path / "s")).plan()]
    shutil.copytree(PROJECT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(keys, "PACKAGES", tmp_path)
    keys.sources.cache_clear()
    with (tmp_path / "stages" / "datasets" / f"{reader}.py").open("a") as file:
        file.write("\nTEST_SHARE = 1\n")
    after = [planned.key for planned in Runner(load(PROJECT / "conf" / "smoke.yaml", store=tmp_path / "s")).plan()]
    keys.sources.cache_clear()
    assert [a != b for a, b in zip(before, after, strict=True)] == [changes] * len(before)


SOLVER = """
def _midpoint(f: Velocity, x: Tensor, t: Tensor, h: float) -> Tensor:
    return x + h * f(x + h / 2 * f(x, t), t + h / 2)


SOLVERS = {"midpoint": Solver(_midpoint, 2), """
VELOCITY = """
from torch import nn

from stages.flow.velocity.base import Cost


class Straight(nn.Module):
    def __init__(self, dim, slope):
        super().__init__()
        self.map, self.slope = nn.Linear(dim, dim), slope

    def forward(self, x, t, c=None):
        return self.slope * self.map(x)


def build(params, dim, space, source_std, conditions):
    return Straight(dim, params.slope)


def cost(params, dim, space):
    return Cost(dim**2, 0, "")
"""
STRAIGHT = """
class StraightVelocity(VelocityParams):
    kind: Literal["straight"] = "straight"
    slope: float

"""
FLOW = """
import json, sys
from pathlib import Path
from pipeline.config import load
from pipeline.runner import Runner, run_directly

overrides = ["fit.velocity={kind: straight, slope: 0.5}", "sample.method=midpoint"]
done = {}
runner = Runner(load(Path("conf/smoke.yaml"), overrides, Path(sys.argv[1])))
run_directly(runner, lambda stage, ref, reused: done.update({stage: ref}), "sample")
manifest = json.loads((done["sample"].path / "manifest.json").read_text())
print(json.dumps([manifest["summary"], list(json.loads((done["fit"].path / "manifest.json").read_text())["code"])]))
"""


@pytest.mark.slow
def test_a_solver_and_a_velocity_network_are_added_by_two_files_each(tmp_path: Path):
    for package in ("pipeline", "stages", "conf"):
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    ode, sample = tmp_path / "stages/flow/ode.py", tmp_path / "stages/params/sample.py"
    for path, old, new in (
        (ode, "SOLVERS = {", SOLVER.lstrip()),
        (sample, 'method: Literal["euler",', 'method: Literal["midpoint", "euler",'),
    ):
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))
    union = "VelocityNetwork = Annotated[Velocity | TokenVelocity, Field"
    add(
        tmp_path,
        "stages/flow/velocity/straight.py",
        VELOCITY,
        "stages/params/fit.py",
        STRAIGHT,
        union,
        "StraightVelocity",
    )
    command = [sys.executable, "-c", FLOW, str(tmp_path / "store")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary, keyed = json.loads(done.stdout)
    assert summary == {"networks": 8, "velocity_calls": 10}, "five steps of two calls"
    assert "stages/flow/velocity/straight.py" in keyed
    assert "stages/flow/velocity/mlp.py" not in keyed
