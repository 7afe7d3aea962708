"""A zoo of which only some members are measured, all of them still being compared with."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from smoke import Done, run_smoke

from stages.evaluation.figures import read_figures
from stages.evaluation.metrics import METRICS
from stages.reporting.sentences import sampled_members

MEMBERS, HELDOUT, FEW = 12, 4, 3


@pytest.fixture(scope="module")
def both(finished: tuple[Path, Done], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Evaluations of all members and of a few, each with the report beside it."""
    root = tmp_path_factory.mktemp("store") / "few"
    shutil.copytree(finished[0], root)
    return finished[1]["evaluate"][0].path, run_smoke(root, f"evaluate.max_members={FEW}")["evaluate"][0].path


def test_both_counts_are_reported(both: tuple[Path, Path]):
    every, few = map(read_figures, both)
    for figures in (every, few):
        assert figures.zoo
        assert (figures.zoo.members, figures.zoo.heldout) == (MEMBERS, HELDOUT)
    assert [every.sets[name].networks for name in ("members", "held-out")] == [MEMBERS, HELDOUT]
    assert [few.sets[name].networks for name in ("members", "held-out")] == [FEW, FEW]
    sentence = f"Measured were {FEW} of {MEMBERS} members and {FEW} of {HELDOUT} held-out members"
    assert [sentence in sampled_members(figures) for figures in (every, few)] == [False, True]


def test_generated_networks_are_compared_with_all_members_all_the_same(both: tuple[Path, Path]):
    every, few = (read_figures(path).sets["generated"] for path in both)
    for name in ("score", "max_iou", "mean_iou", "distance", "distance_quotient", "distance_normalised", "duplicates"):
        assert METRICS[name].of(every) == METRICS[name].of(few), name
        assert METRICS[name].of(every) is not None
    for name in ("nearest_members_hit", "dispersion", "ensemble_curve"):
        assert METRICS[name].of(every) == METRICS[name].of(few), name
    wasserstein = METRICS["wasserstein"]
    assert wasserstein.of(every) != wasserstein.of(few), "the members' own distances are other ones"


def test_the_few_have_the_figures_that_they_have_among_all(both: tuple[Path, Path]):
    every, few = (zarr.open_group(path / "figures.zarr", mode="r") for path in both)
    tau = [read_figures(path).tau for path in both]
    for name, unit in (("distance_in_tau", tau), ("score", (1, 1)), ("max_iou", (1, 1)), ("nearest_member", (1, 1))):
        known, values = (np.asarray(g[f"members/{name}"]) * u for g, u in zip((every, few), unit, strict=True))
        assert len(values) == FEW
        assert all(np.isclose(known, value, rtol=1e-9).any() for value in values), name
    assert tau[1] == pytest.approx(np.median(np.asarray(few["members/distance_in_tau"]) * tau[1]))
