"""Generators whose answer is known: they return members, relabelled members, noisy members, or unseen members."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from smoke import Done, run_smoke

from stages.artifacts.members import WEIGHTS, open_weights, open_zoo
from stages.canonical.alignment import ALIGNMENT, read_form, read_reference
from stages.context import Context
from stages.evaluate import evaluate
from stages.evaluation.figures import Figures, SetFigures, read_figures
from stages.evaluation.metrics.novelty import distance, distance_in_tau, distance_quotient, max_iou
from stages.evaluation.metrics.two_sample import two_sample
from stages.params.evaluate import EvaluateParams
from stages.reporting import sentences
from stages.seeds import generator
from stages.store.refs import Ref
from stages.store.weights import is_train, write_weights

MEMBERS = 40
DIGITS = (
    "zoo.dataset=digits",
    "zoo.network={kind: mlp, widths: [64, 16, 10]}",
    f"zoo.members={MEMBERS}",
    "zoo.heldout=24",
    "zoo.shard_size=64",
    "zoo.recipe={optimizer: adam, lr: 0.01, batch: 64, epochs: 10}",
    "fit.steps=20",
)
PARAMS = EvaluateParams(
    baseline_networks=24,
    noise_levels=(0.1, 0.5, 1.2),
    interpolation_fractions=(0.3,),
    soup_sizes=(2,),
    probe_members=3,
    align_to_nearest=2,
)
Evaluate = Callable[[torch.Tensor], Figures]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return run_smoke(tmp_path_factory.mktemp("zoo"), *DIGITS, last="sample")


@pytest.fixture(scope="module")
def unseen(zoo: Done, tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """Members of a second zoo, from other seeds, in the first one's canonical form."""
    other = open_zoo(
        run_smoke(tmp_path_factory.mktemp("other"), *DIGITS, "zoo.seed=1", "zoo.heldout=2", last="zoo")["zoo"][0]
    )
    path = zoo["canonicalize"][0].path / ALIGNMENT
    form, reference = read_form(path, other.layout), read_reference(path)
    rows = enumerate(other.rows(0, MEMBERS))
    return torch.stack([form.applied(reference, row, generator("unseen", i)) for i, row in rows])


@pytest.fixture
def members(zoo: Done) -> torch.Tensor:
    packed = open_weights(zoo["pack"][0])
    return packed.rows()[is_train(packed)]


@pytest.fixture
def evaluated(zoo: Done, tmp_path: Path) -> Evaluate:
    """The figures of a generator that returns these rows."""

    def figures(rows: torch.Tensor) -> Figures:
        packed = open_weights(zoo["pack"][0])
        attrs = {name: packed.attrs[name] for name in ("network", "dataset")}
        (tmp_path / "sampled").mkdir()
        (tmp_path / "out").mkdir()
        write_weights(
            tmp_path / "sampled" / WEIGHTS, packed.layout, [f"{i:03d}" for i in range(len(rows))], rows, {}, attrs
        )
        first, aligned, rows_of, flow = (zoo[stage][0] for stage in ("zoo", "canonicalize", "pack", "fit"))
        sampled = Ref(stage="sample", key="planted", path=tmp_path / "sampled", digest="")
        evaluate(first, aligned, rows_of, flow, sampled, PARAMS, Context(tmp_path / "out"))
        return read_figures(tmp_path / "out")

    return figures


def answered(figures: Figures) -> tuple[bool | None, ...]:
    """The verdict: accurate, new, better than baselines, indistinguishable."""
    answers = figures.verdict
    return answers.accurate, answers.new, answers.better_than_baselines, answers.indistinguishable


def generated(figures: Figures) -> SetFigures:
    return figures.sets["generated"]


def test_a_generator_that_returns_members_copies(evaluated: Evaluate, members: torch.Tensor):
    figures = evaluated(members)
    assert answered(figures)[:3] == (True, False, False)
    assert (figures.imported, figures.relabelled, figures.group) == (False, True, None)
    assert "New: no, copies of members" in sentences.verdict(figures)
    distances, overlaps = distance_quotient.of(generated(figures)), max_iou.of(generated(figures))
    assert distances
    assert overlaps
    assert distances.max < 1e-3
    assert overlaps.min == 1


@pytest.mark.slow
def test_a_generator_that_returns_relabelled_members_copies(evaluated: Evaluate, members: torch.Tensor, zoo: Done):
    layout, g = open_weights(zoo["pack"][0]).layout, torch.Generator().manual_seed(0)
    symmetry = read_form(zoo["canonicalize"][0].path / ALIGNMENT, layout).symmetry
    rows = torch.stack([layout.flatten(symmetry.act(symmetry.random(g), layout.unflatten(row))) for row in members])
    figures = evaluated(rows)
    assert figures.verdict.new is False
    assert "New: no, copies of members" in sentences.verdict(figures)
    as_they_are = distance.of(generated(figures))
    assert as_they_are
    assert as_they_are.min > 0.5 * (figures.tau or 0), "as the rows are, they look new"


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.22, 0.8])  # between those of PARAMS
def test_a_generator_that_adds_noise_to_members_is_no_better_than_noise(
    evaluated: Evaluate, members: torch.Tensor, zoo: Done, level: float
):
    packed = open_weights(zoo["pack"][0])
    stds = torch.from_numpy(packed.facts("layout/std")).float()
    sizes = torch.tensor([slot.size for slot in packed.layout.slots])
    noise = torch.randn(members.shape, generator=torch.Generator().manual_seed(5))
    figures = evaluated(members + level * stds.repeat_interleave(sizes) * noise)
    assert answered(figures)[1:3] == (False, False)
    assert "Better than every baseline as far from the members: no" in sentences.verdict(figures)
    assert figures.gain_over_baselines
    assert figures.gain_over_baselines.gain is not None
    assert figures.gain_over_baselines.gain < 0.01
    at = distance_in_tau.of(generated(figures)) or 0.0
    beside = [distance_in_tau.of(entry) or 0.0 for entry in figures.sets.values() if entry.family == "noise"]
    assert min(abs(other / at - 1) for other in beside) < 0.05, "one level lies where the generator does"


@pytest.mark.slow
def test_a_generator_that_returns_unseen_members_is_indistinguishable(evaluated: Evaluate, unseen: torch.Tensor):
    figures = evaluated(unseen)
    assert answered(figures) == (True, True, True, True)
    assert "Not told from held-out members by a classifier: yes" in sentences.verdict(figures)
    tests = two_sample.of(generated(figures))
    assert tests
    for test in (tests.weights, tests.outputs):
        assert test
        assert test.low <= 0.5 <= test.high
    effects = figures.canonicalization
    assert effects
    assert effects.bit_exact is True
    assert effects.score_before == effects.score_after == effects.score_undone
    assert effects.pca_round_trip
    assert effects.pca_round_trip.k == [1, 2, 5, 10, 20]
