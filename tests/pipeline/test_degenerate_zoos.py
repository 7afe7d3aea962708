"""The whole dag on zoos with next to nothing in them: every figure is defined, or one line says why there is none."""

import json
from pathlib import Path

import numpy as np
import pytest
from smoke import SMOKE, run_smoke

from pipeline.config import load
from stages.errors import UsageError
from stages.evaluation.figures import read_figures

SPACES = {
    "pca": ["fit.space={kind: pca, components: 1000}"],  # far more than there can be
    "raw": ["fit.space={kind: raw}"],
    "tokens": [
        "fit.space={kind: tokens}",
        "fit.velocity={kind: tokens, width: 8, depth: 1, heads: 1}",
        "fit.coupling=units",
    ],
}
SMALLEST = ["zoo.members=2", "zoo.heldout=2", "zoo.recipe.epochs=1", "sample.networks=1", "fit.steps=20"]
FEW = "evaluate={baseline_networks: 1, noise_levels: [0.1], interpolation_fractions: [0.5], soup_sizes: [1, 2, 4]}"


def figures(folder: Path, *overrides: str) -> dict[str, object]:
    """What evaluate has written, which holds no NaN: JSON has none."""
    done = run_smoke(folder, *SMALLEST, FEW, *overrides)
    path = done["evaluate"][0].path
    assert read_figures(path).tau > 0
    return json.loads((path / "figures.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("space", SPACES)
def test_two_members_two_held_out_one_network_one_class(tmp_path: Path, space: str):
    found = figures(tmp_path, *SPACES[space], "zoo.dataset={name: iris, only: [1]}")
    assert found["zoo"] == {"members": 2, "held-out": 2}
    assert found["score"] == "accuracy"


def test_one_output_and_targets_that_are_all_the_same(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    np.savez(tmp_path / "same.npz", x=x, y=np.full(40, 0.5, np.float32))
    data = f"zoo.dataset={{kind: arrays, train: {tmp_path / 'same.npz'}}}"
    found = figures(tmp_path / "store", data, "zoo.network={kind: mlp, widths: [4, 8, 1]}")
    assert found["score"] == "spearman"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("zoo.members=1", "zoo.members: input should be greater than or equal to 2, found 1"),
        ("zoo.members=0", "zoo.members: input should be greater than or equal to 2, found 0"),
        ("zoo.heldout=0", "zoo.heldout: input should be greater than or equal to 2, found 0"),
        ("sample.networks=0", "sample.networks: input should be greater than 0, found 0"),
        *(
            (f"{stage}.seed={2**64}", f"{stage}.seed: input should be less than {2**64}, found {2**64}")
            for stage in ("zoo", "canonicalize", "fit", "sample", "evaluate")
        ),
        ("evaluate.seed=-1", "evaluate.seed: input should be greater than or equal to 0, found -1"),
    ],
)
def test_fewer_than_there_must_be_and_seeds_out_of_range_are_refused_at_once(override: str, line: str):
    with pytest.raises(UsageError) as error:
        load(SMOKE, [override])
    assert str(error.value).endswith(line)


def test_the_largest_seed_is_as_good_as_any(tmp_path: Path):
    overrides = (f"{stage}.seed={2**64 - 1}" for stage in ("zoo", "canonicalize", "fit", "sample", "evaluate"))
    figures(tmp_path, *SPACES["raw"], *overrides)
