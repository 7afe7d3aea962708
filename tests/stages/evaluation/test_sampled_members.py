"""A zoo of which only some members are measured, all of them still being compared with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from smoke import run_smoke

MEMBERS, HELDOUT, FEW = 12, 4, 3


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("store")
    return run_smoke(root)["evaluate"][0].path, run_smoke(root, f"evaluate.max_members={FEW}")["evaluate"][0].path


def figures(path: Path) -> dict[str, Any]:
    return json.loads((path / "figures.json").read_text())


def test_both_counts_are_told(both: tuple[Path, Path]):
    every, few = map(figures, both)
    for found in (every, few):
        assert found["zoo"] == {"members": MEMBERS, "held-out": HELDOUT}
    assert [every["sets"][name]["networks"] for name in ("members", "held-out")] == [MEMBERS, HELDOUT]
    assert [few["sets"][name]["networks"] for name in ("members", "held-out")] == [FEW, FEW]
    told = f"Measured were {FEW} of {MEMBERS} members and {FEW} of {HELDOUT} held-out members"
    assert [told in (path / "report.html").read_text() for path in both] == [False, True]


def test_generated_networks_are_compared_with_all_members_all_the_same(both: tuple[Path, Path]):
    every, few = (figures(path)["sets"]["generated"] for path in both)
    for name in ("score", "max_iou", "mean_iou", "distance", "distance_quotient", "distance_normalised", "duplicates"):
        assert every[name] == few[name], name
    for name in ("nearest_members_hit", "dispersion", "ensemble_curve"):
        assert every[name] == few[name], name
    assert every["wasserstein"] != few["wasserstein"], "what the members' own distances shape is another one"


def test_the_few_have_the_figures_that_they_have_among_all(both: tuple[Path, Path]):
    every, few = (zarr.open_group(path / "figures.zarr", mode="r") for path in both)
    tau = [figures(path)["tau"] for path in both]
    for name, unit in (("distance_in_tau", tau), ("score", (1, 1)), ("max_iou", (1, 1)), ("nearest_member", (1, 1))):
        known, found = (np.asarray(g[f"members/{name}"]) * u for g, u in zip((every, few), unit, strict=True))
        assert len(found) == FEW
        assert all(np.isclose(known, value, rtol=1e-9).any() for value in found), name
    assert tau[1] == pytest.approx(np.median(np.asarray(few["members/distance_in_tau"]) * tau[1]))
