"""Each configuration of a public zoo on a small one in its format.

Overridden are paths and sizes and, where the zoo's own networks can't be scored or are large, data and network.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import made_up_zoos
import numpy as np
import pytest
import torch
from foreign_checkpoints import save
from made_up_zoos import TRAIN, Epoch, State, accuracy, mnist_inputs, write_digits_as_mnist
from member_scores import measured_scores
from smoke import PROJECT
from torch import Tensor, nn

from pipeline.config import Experiment, load
from pipeline.runner import Runner, run_directly
from stages.artifacts.members import open_weights, open_zoo
from stages.datasets import load_fitting, load_test
from stages.errors import UsageError
from stages.nets.registry import build
from stages.params.dataset import Table
from stages.params.splits import MeanAndStd
from stages.store.refs import Ref

QUICK = [
    "threads=1",
    "device=cpu",
    "fit.steps=20",
    "fit.batch=8",
    "fit.check_every_steps=10",
    "fit.eval_samples=0",
    "sample.networks=3",
    "sample.steps=2",
    "evaluate={baseline_networks: 2, noise_levels: [0.1], interpolation_fractions: [0.5], soup_sizes: [2]}",
    "evaluate.align_to_nearest=0",
    "evaluate.probe_members=2",
]
TOKENS = ["fit.velocity.width=16", "fit.velocity.depth=1", "fit.velocity.heads=2", "fit.velocity.pair_width=8"]
CODES = ["fit.velocity.hidden=16", "fit.velocity.time_dim=8"]
Write = Callable[[Path, list[State], list[float]], None]


@dataclass(frozen=True)
class Case:
    """A configuration, what is smaller or elsewhere in the made-up zoo, and how that is written."""

    name: str
    write: Write
    paths: list[str]
    smaller: list[str] = field(default_factory=list)
    fact: str = "test_acc"
    """A fact of the zoo's own about every member."""


def run_folders(folder: Path, states: list[State], scores: list[float]) -> None:
    made_up_zoos.write_run_folders(folder / "zoo", states, scores)


def matrix(folder: Path, states: list[State], scores: list[float]) -> None:
    steps = [(i, step) for i in range(len(states)) for step in (20, 86)]
    halved = {20: 0.5, 86: 1.0}
    rows = [Epoch(i, s, {n: halved[s] * t for n, t in states[i].items()}, scores[i]) for i, s in steps]
    made_up_zoos.write_matrix(folder / "zoo", rows, activations=("relu",))


def paths(folder: Path, states: list[State], scores: list[float]) -> None:
    del scores
    for i, state in enumerate(states):
        save(folder / "zoo" / f"mnist_png_training_{i % 3}_{i}" / "checkpoints" / "model_final.pth", state)


def table(folder: Path, states: list[State], scores: list[float]) -> None:
    lines = ["ckpt_file,ckpt_epoch,test_accuracy\n"]
    for i, (state, score) in enumerate(zip(states, scores, strict=True)):
        for epoch in (50, 75):
            file = save(
                folder / "zoo" / "mnist" / f"run{i:02d}_{epoch}_{int(1e4 * score)}.pt", state if epoch == 75 else {}
            )
            lines.append(f"mnist/{file.name},{epoch},{score}\n")
    (folder / "zoo" / "metadata").mkdir()
    (folder / "zoo" / "metadata" / "mnist.csv").write_text("".join(lines))


def hub_cache(folder: Path, states: list[State], scores: list[float]) -> None:
    made_up_zoos.write_hub_cache(folder / "zoo", states, scores)


FOLDER = ["zoo.folder={zoo}"]
IRIS_SIREN = ["zoo.kwargs={{widths: [4, 8, 3], w0: 1.0}}", "zoo.input=[4]", "zoo.dataset=iris"]
VIT = "{{model_type: vit, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16, "
HUB = ["zoo.files={zoo}/models--*/snapshots/*/model.safetensors"]
CASES = [
    Case(
        "model_zoo_mnist",
        run_folders,
        FOLDER,
        ["zoo.where=['test_acc > 0.05']", "sample.condition={{test_acc: 0.8}}", *TOKENS],
    ),
    Case("weightclip_cnn3", run_folders, FOLDER, CODES),
    Case(
        "vit_zoo",
        run_folders,
        FOLDER,
        [
            "zoo.network={{kind: vit, size: 28, channels: 1, patch: 7, dim: 16, depth: 1, heads: 2}}",
            "zoo.dataset=mnist",
            *CODES,
        ],
    ),
    Case(
        "small_cnn_zoo",
        matrix,
        FOLDER,
        ["zoo.where=['step == 86']", "sample.condition={{test_accuracy: 0.8}}", *TOKENS],
        "test_accuracy",
    ),
    Case(
        "mnist_inrs",
        paths,
        ["zoo.files={zoo}/mnist_png_*/**/*.pth"],
        [*IRIS_SIREN, "sample.condition={{label: 2}}", *CODES],
        "label",
    ),
    Case(
        "small_transformer_zoo",
        table,
        ["zoo.files={zoo}/**/*_75_*.pt", "zoo.facts.table={zoo}/metadata/mnist.csv"],
        ["zoo.kwargs={{dim: 8, depth: 1, heads: 2, patch: 7}}", *CODES],
        "test_accuracy",
    ),
    Case(
        "model_j",
        hub_cache,
        HUB,
        [
            f"zoo.kwargs={VIT}image_size: 28, patch_size: 7, num_channels: 1, num_labels: 10}}}}",
            "zoo.input=[1, 28, 28]",
            "zoo.dataset=mnist",
            *CODES,
        ],
        "test_accuracy",
    ),
]
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def experiment(case: Case, folder: Path, heldout: int) -> Experiment:
    overrides = [text.format(zoo=folder / "zoo") for text in (*case.paths, *case.smaller)]
    members = ["zoo.members=null", f"zoo.heldout={heldout}"]
    file = PROJECT / "conf" / "public" / f"{case.name}.yaml"
    return load(file, [*QUICK, *members, *overrides], folder / "data", folder / "raw")


def network(plan: Experiment) -> Callable[[], nn.Module]:
    """A new network of the configuration's, whose weights torch's global generator draws."""

    def make() -> nn.Module:
        return build(plan.zoo.network, int(torch.randint(2**31, ())))

    return make


def examples(plan: Experiment, folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Inputs and classes to train on, and to test on, read here and not by the product where they are images."""
    if isinstance(dataset := plan.zoo.dataset, Table):
        (train, _), test = load_fitting(dataset, folder), load_test(dataset, folder)
        return (train.inputs, train.targets), (test.inputs, test.targets)
    channels, size = plan.zoo.network.shape[0], plan.zoo.network.shape[-1]
    normalize = dataset.normalize
    numbers = (normalize.mean, normalize.std) if isinstance(normalize, MeanAndStd) else ()
    inputs, targets = mnist_inputs(channels, size, *numbers)
    return (inputs[:TRAIN:3], targets[:TRAIN:3]), (inputs[TRAIN:], targets[TRAIN:])


def run(plan: Experiment, last: str) -> dict[str, Ref]:
    made: dict[str, Ref] = {}
    run_directly(Runner(plan), lambda stage, ref, _: made.update({stage: ref}), last)
    return made


def number(file: str) -> int:
    """The number of the network that a file, or a row of step 86 of the matrix, holds."""
    if file.startswith("weights.npy"):
        return int(file.rpartition(":")[2]) // 2
    return int(re.findall(r"(?:trainable_|training_\d+_|run|model-)(\d+)", file)[0])


@EVERY
def test_a_configuration_reads_a_zoo_of_its_format(case: Case, tmp_path: Path):
    write_digits_as_mnist(tmp_path / "raw")
    plan = experiment(case, tmp_path, heldout=2)
    torch.manual_seed(0)
    states = [network(plan)().state_dict() for _ in range(6)]
    scores = [0.1 * (i + 1) for i in range(6)]
    case.write(tmp_path, states, scores)
    zoo = open_zoo(run(plan, "zoo")["zoo"])
    numbers = [number(str(file)) for file in zoo.facts("file")]
    assert sorted(numbers) == list(range(6))
    for i, row in zip(numbers, zoo.rows(0, 6), strict=True):
        assert all(torch.equal(tensor, states[i][name]) for name, tensor in zoo.layout.unflatten(row).items())
    expected = [str(i % 3) for i in numbers] if case.fact == "label" else [scores[i] for i in numbers]
    found = zoo.facts(case.fact)
    assert [str(x) for x in found] == expected if case.fact == "label" else found == pytest.approx(expected)


@pytest.mark.slow
@EVERY
def test_members_score_in_the_whole_dag_as_their_files_do_in_plain_torch(case: Case, tmp_path: Path):
    write_digits_as_mnist(tmp_path / "raw")
    plan = experiment(case, tmp_path, heldout=6)
    fitting, test = examples(plan, tmp_path / "raw")
    make = network(plan)
    states = made_up_zoos.trained(make, 30, *fitting)
    plain = [accuracy(make(), state, *test) for state in states]
    case.write(tmp_path, states, plain)
    made = run(plan, "evaluate")
    found = {number(file): score for file, score in measured_scores(made).items()}
    assert found.keys() == set(range(30))
    assert max(abs(found[i] - plain[i]) for i in found) < 1.5 / len(test[1])
    assert len(set(plain)) > 5, "networks that guess alike would score the same in any order"
    packed = open_weights(made["pack"])
    assert set(packed.attrs["facts"]) == set(open_zoo(made["zoo"]).attrs["facts"])
    assert np.isin(case.fact, packed.attrs["facts"])


def test_every_configuration_of_a_public_zoo_is_here():
    assert {case.name for case in CASES} == {file.stem for file in (PROJECT / "conf" / "public").glob("*.yaml")}


@pytest.mark.parametrize("file", sorted((PROJECT / "conf" / "public").glob("*.yaml")), ids=lambda file: file.stem)
def test_each_is_valid_and_says_where_its_zoo_is_from(file: Path):
    load(file)
    comment = "".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert "Get it: " in comment
    assert re.search(r"https://\S+|hf download", comment)


def test_a_condition_that_members_lack_is_named_before_anything_is_fitted(tmp_path: Path):
    case = next(case for case in CASES if case.name == "small_cnn_zoo")
    write_digits_as_mnist(tmp_path / "raw")
    plan = experiment(case, tmp_path, heldout=2)
    torch.manual_seed(0)
    case.write(tmp_path, [network(plan)().state_dict() for _ in range(6)], [0.1] * 6)
    for name, said in [
        ("test_acuracy", "members have no fact 'test_acuracy'; did you mean 'test_accuracy'"),
        ("reported_train_loss", r"reported_train_loss: not known of every member \(unknown of 1 of"),
    ]:
        changed = plan.model_copy(update={"fit": plan.fit.model_copy(update={"condition": (name,)})})
        with pytest.raises(UsageError, match=said):
            run(changed, "fit")
