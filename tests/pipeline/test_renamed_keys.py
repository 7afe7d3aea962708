"""Keys of release 0.1: each works under its earlier name, with one notice and the same keys of artifacts."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from smoke import SMOKE, Dwf

from pipeline.config import load
from pipeline.renamed_keys import RENAMED, RenamedKey
from pipeline.runner import Runner

VALUES: dict[str, Any] = {
    "canonicalize.barrier": 2,
    "canonicalize.probe": 32,
    "canonicalize.rounds": 1,
    "canonicalize.scale": True,
    "canonicalize.streams": False,
    "evaluate.baseline": 5,
    "evaluate.ensembles": [2],
    "evaluate.finetune.soup": 3,
    "evaluate.interpolation": [0.25],
    "evaluate.margins": [0.75],
    "evaluate.members": 7,
    "evaluate.near": 2,
    "evaluate.noise": [0.3],
    "evaluate.probed": 3,
    "evaluate.round_trip": [2],
    "evaluate.soup": [3],
    "fit.check_every": 10,
    "fit.ema": 0.9,
    "fit.hold": 2.0,
    "fit.outputs": 0.0,
    "fit.path_noise": 0.1,
    "fit.patience": 2,
    "fit.pick": "heldout",
    "fit.watch": 4,
    "sample.keep": 0.5,
    "sample.start": 0.25,
    "zoo.others": [],
    "zoo.retries": 1,
    "zoo.shard": 5,
}
"""A value for each, other than what the smoke configuration has but for those of DEFAULT."""
DEFAULT = ("fit.outputs", "zoo.others")
"""Any other value of these needs more sections."""


def written(tmp_path: Path, key: str, value: Any) -> Path:
    """The smoke configuration with one more value."""
    values = yaml.safe_load(SMOKE.read_text())
    *sections, last = key.split(".")
    section = values
    for name in sections:
        section = section.setdefault(name, {})
    for name in (last, RENAMED.get(key, "")):
        section.pop(name, None)
    section[last] = value
    file = tmp_path / f"{key}.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def keys_of(file: Path, *overrides: str) -> tuple[dict[str, str], list[str]]:
    """Every stage's key, and the notices."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        experiment = load(file, overrides)
    assert {notice.category for notice in caught} <= {RenamedKey}
    return {step.stage: step.key for step in Runner(experiment).plan()}, [str(notice.message) for notice in caught]


def test_every_renamed_key_is_tried_here():
    assert VALUES.keys() == RENAMED.keys()


@pytest.mark.parametrize("key", RENAMED)
def test_a_key_works_under_both_names_with_one_notice_on_the_earlier_one(tmp_path: Path, key: str):
    new = f"{key.rpartition('.')[0]}.{RENAMED[key]}"
    value = VALUES[key]
    earlier, notices = keys_of(written(tmp_path, key, value))
    assert notices == [f"{key} is now called {new}; the earlier name works until the next release"]
    assert (earlier, []) == keys_of(written(tmp_path, new, value))
    assert (earlier, notices) == keys_of(
        SMOKE, f"{key}={yaml.safe_dump(value, default_flow_style=True).split(chr(10))[0]}"
    )
    assert key in DEFAULT or earlier != keys_of(SMOKE)[0]


def test_the_command_line_says_it_in_one_line_per_key(dwf: Dwf, tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, _, err = dwf("plan", SMOKE, "--store", tmp_path, "--set", "fit.watch=4", "--set", "sample.keep=0.5")
        assert code == 0
        _, _, swept = dwf("sweep", SMOKE, "zoo.members=1", "fit.watch=4,5", "--store", tmp_path)
    notice = "dwf: {} is now called {}; the earlier name works until the next release"
    watch, keep = notice.format("fit.watch", "fit.eval_samples"), notice.format("sample.keep", "sample.keep_fraction")
    assert err.splitlines() == [watch, keep]
    assert swept.splitlines()[0] == watch, "once for two points"
    assert swept.count("fit.watch") == 1


def test_sweep_direct_is_accepted_with_a_notice(dwf: Dwf, tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        _, _, err = dwf("sweep", SMOKE, "zoo.members=1,2", "--direct", "--store", tmp_path)
    assert err.splitlines()[0] == "dwf: sweep --direct has no effect and will be removed: no sweep uses Prefect"
    assert "--direct" not in dwf("sweep", "--help")[1]
