"""Another generator's networks, planted in files: copies, noise, soups, trained ones; each is called what it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from other_generators import save_networks
from smoke import Done, run_smoke

from stages.artifacts.members import open_zoo
from stages.canonical.alignment import ALIGNMENT, read_form
from stages.context import Context
from stages.evaluate import evaluate
from stages.evaluation.figures import Figures, read_figures
from stages.evaluation.metrics.novelty import distance_in_tau
from stages.evaluation.other_generator import found_among
from stages.params.evaluate import EvaluateParams
from stages.params.imported_sample import ImportedSample
from stages.reporting import other_generator, sentences
from stages.sample import sample
from stages.store.refs import Ref
from stages.store.weights import Shards

MEMBERS, HELD_OUT = 24, 16
ZOO = (
    "zoo.dataset=digits",
    "zoo.network={kind: mlp, widths: [64, 8, 10]}",
    f"zoo.members={MEMBERS}",
    f"zoo.heldout={HELD_OUT}",
    "zoo.shard_size=64",
    "zoo.recipe={optimizer: adam, lr: 0.01, batch: 64, epochs: 6}",
)
PARAMS = EvaluateParams(
    baseline_networks=8,
    noise_levels=(0.3,),
    interpolation_fractions=(0.3,),
    soup_sizes=(2,),
    ensemble_sizes=(1,),
    probe_members=0,
    align_to_nearest=1,
)
Judge = Callable[[torch.Tensor], Figures]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return run_smoke(tmp_path_factory.mktemp("zoo"), *ZOO, last="pack")


@pytest.fixture(scope="module")
def zoo(done: Done) -> Shards:
    return open_zoo(done["zoo"][0])


@pytest.fixture(scope="module")
def ideal(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """Networks trained as the members were, from other seeds: what an ideal generator makes."""
    made = run_smoke(tmp_path_factory.mktemp("ideal"), *ZOO, "zoo.seed=1", "zoo.heldout=2", last="zoo")
    return open_zoo(made["zoo"][0]).rows(0, MEMBERS)


@pytest.fixture
def judge(done: Done, zoo: Shards, tmp_path: Path) -> Judge:
    """The figures of a generator that leaves these networks in files; no flow is fitted."""

    def figures(rows: torch.Tensor) -> Figures:
        params = ImportedSample(source="checkpoints", files=save_networks(tmp_path / "theirs", zoo, rows))
        sampled = Ref(stage="sample", key="theirs", path=tmp_path / "sampled", digest="")
        for folder in ("sampled", "out"):
            (tmp_path / folder).mkdir()
        sample(done["pack"][0], None, params, Context(sampled.path))
        first, aligned, packed = (done[stage][0] for stage in ("zoo", "canonicalize", "pack"))
        evaluate(first, aligned, packed, None, sampled, PARAMS, Context(tmp_path / "out"))
        return read_figures(tmp_path / "out")

    return figures


def copied(figures: Figures) -> tuple[int, int, int]:
    """How many are members, held-out members, and earlier ones again."""
    found = figures.generator
    assert found
    return found.members, found.heldout, found.repeated


def test_networks_trained_from_other_seeds_pass(judge: Judge, ideal: torch.Tensor):
    figures = judge(ideal[:16])
    answers = figures.verdict
    assert (answers.accurate, answers.new, answers.better_than_baselines) == (True, True, True)
    assert copied(figures) == (0, 0, 0)
    assert figures.warnings == ()
    assert (figures.curves, figures.watched) == (None, None)
    assert ", none is a member, a held-out member or an earlier one" in other_generator.copies(figures)
    assert "can't be known" in other_generator.unknown(figures)


@pytest.mark.slow
def test_members_with_their_units_relabelled_are_called_copies(judge: Judge, zoo: Shards, done: Done):
    symmetry = read_form(done["canonicalize"][0].path / ALIGNMENT, zoo.layout).symmetry
    draw = torch.Generator().manual_seed(0)
    moved = (symmetry.act(symmetry.random(draw), zoo.layout.unflatten(row)) for row in zoo.rows(0, 6))
    figures = judge(torch.stack([zoo.layout.flatten(weights) for weights in moved]))
    assert copied(figures) == (6, 0, 0)
    assert (figures.verdict.new, figures.verdict.better_than_baselines) == (False, False)
    assert "New: no, copies of members" in sentences.verdict(figures)
    assert "6 are members" in other_generator.copies(figures)
    assert "6 of 6 generated networks are members" in figures.warnings[0]


def test_what_stands_among_new_networks_is_counted_though_the_median_is_new(
    judge: Judge, zoo: Shards, ideal: torch.Tensor
):
    """Two members, a held-out member, one new network twice, and one that isn't finite."""
    broken = ideal[:1].clone()
    broken[0, 3] = float("nan")
    rows = [ideal[:9], zoo.rows(0, 2), zoo.rows(MEMBERS, MEMBERS + 1), ideal[:1], broken]
    figures = judge(torch.cat(rows))
    assert copied(figures) == (2, 1, 1)
    assert figures.generator
    assert (figures.generator.read, figures.generator.not_finite) == (14, 1)
    assert figures.sets["generated"].networks == 13
    assert (distance_in_tau.of(figures.sets["generated"]) or 0) > 0.9
    assert (figures.verdict.new, figures.verdict.indistinguishable) == (None, None), "it has seen held-out members"
    assert [line.split()[0] for line in figures.warnings] == ["1", "copies:", "copies:"]
    assert "2 are members and 1 is a held-out member and 1 repeats" in other_generator.copies(figures)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noised", "soups", "fresh"])
def test_what_anybody_can_make_is_no_better_than_baselines(judge: Judge, zoo: Shards, ideal: torch.Tensor, kind: str):
    draw, members = torch.Generator().manual_seed(1), zoo.rows(0, MEMBERS)
    rows = {
        "noised": members + 0.15 * members.std() * torch.randn(members.shape, generator=draw),
        "soups": (members + members.roll(1, 0)) / 2,
        "fresh": 0.3 * torch.randn(members.shape, generator=draw),
    }[kind][:10]
    figures = judge(rows)
    assert figures.verdict.better_than_baselines is not True
    assert copied(figures) == (0, 0, 0)
    if kind == "noised":
        assert figures.verdict.new is False
    else:
        assert figures.verdict.accurate is False


def test_only_what_lies_near_once_relabelled_is_the_same():
    from network_sets import unpermuted_distance

    members = torch.tensor([[0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0], [5.0, 5.0, 5.0, 5.0]])
    rows = torch.tensor([[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.001], [0.0, 0.0, 1.0, 0.0]])
    counts = {"read": 3, "not_finite": 0, "own_statistics": False}
    found = found_among(rows, members[:2], members[2:], unpermuted_distance(members), 1.0, counts)
    assert (found.members, found.heldout, found.repeated) == (1, 0, 1), "sorted values alone would say 3"
