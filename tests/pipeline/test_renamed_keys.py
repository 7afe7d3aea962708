"""Configuration keys by their earlier names."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import PROJECT, Experiment, load
from pipeline.renamed_keys import RENAMED, RenamedKey
from stages.errors import UsageError

VALUES: dict[str, Any] = {
    "canonicalize.barrier": 2,
    "canonicalize.probe": 7,
    "canonicalize.rounds": 3,
    "canonicalize.scale": True,
    "canonicalize.streams": False,
    "evaluate.baseline": 5,
    "evaluate.ensembles": [1, 3],
    "evaluate.finetune.soup": 3,
    "evaluate.interpolation": [0.25],
    "evaluate.margins": [0.5, 1.5],
    "evaluate.members": 77,
    "evaluate.near": 2,
    "evaluate.noise": [0.3],
    "evaluate.probed": 3,
    "evaluate.round_trip": [1, 4],
    "evaluate.soup": [3],
    "fit.check_every": 30,
    "fit.ema": 0.5,
    "fit.hold": 0.5,
    "fit.outputs": 0.1,
    "fit.path_noise": 0.01,
    "fit.patience": 2,
    "fit.pick": "heldout",
    "fit.watch": 4,
    "sample.keep": 0.5,
    "sample.start": 0.25,
    "zoo.others": [{"name": "iris", "train": 60}],
    "zoo.retries": 1,
    "zoo.shard": 3,
}
"""Earlier name -> a value other than the default and that of conf/smoke.yaml."""
NEEDED: dict[str, dict[str, Any]] = {
    "fit.outputs": {"fit.space": {"kind": "tokens"}, "fit.velocity": {"kind": "tokens"}},
    "zoo.others": {"fit.condition": ["dataset"], "sample.condition": {"dataset": "iris"}},
}
"""Earlier name -> what must stand beside it for the configuration to be valid."""
KEYS = pytest.mark.parametrize("key", RENAMED)


def present(key: str) -> str:
    return f"{key.rpartition('.')[0]}.{RENAMED[key]}"


def written(folder: Path, values: dict[str, Any]) -> Path:
    """conf/smoke.yaml with these values, by dotted keys, in place of those that stand there under any name."""
    experiment = yaml.safe_load((PROJECT / "conf" / "smoke.yaml").read_text())
    for key, value in values.items():
        *sections, last = key.split(".")
        section = experiment
        for name in sections:
            section = section.setdefault(name, {})
        section.pop(RENAMED.get(key), None)
        section[last] = value
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(experiment))
    return path


def loaded(file: Path, *overrides: str) -> tuple[Experiment, list[str]]:
    """The experiment, and the messages of its RenamedKey warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        experiment = load(file, overrides)
    return experiment, [str(w.message) for w in caught if issubclass(w.category, RenamedKey)]


def overrides(values: dict[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def test_every_renamed_key_has_a_value_to_be_tested_with():
    assert VALUES.keys() == RENAMED.keys()


@KEYS
def test_the_earlier_name_in_a_file_means_the_present_one(key: str, tmp_path: Path):
    beside = NEEDED.get(key, {})
    earlier, messages = loaded(written(tmp_path, {**beside, key: VALUES[key]}))
    now, none = loaded(written(tmp_path, {**beside, present(key): VALUES[key]}))
    without, _ = loaded(PROJECT / "conf" / "smoke.yaml", *overrides(beside))
    assert earlier.model_dump() == now.model_dump()
    assert earlier.model_dump(exclude={"name"}) != without.model_dump(exclude={"name"})
    assert len(messages) == 1
    assert key in messages[0]
    assert present(key) in messages[0]
    assert none == []


@KEYS
def test_so_does_it_in_an_override(key: str):
    smoke, beside = PROJECT / "conf" / "smoke.yaml", NEEDED.get(key, {})
    earlier, messages = loaded(smoke, *overrides({**beside, key: VALUES[key]}))
    now, none = loaded(smoke, *overrides({**beside, present(key): VALUES[key]}))
    assert earlier.model_dump() == now.model_dump()
    assert len(messages) == 1
    assert none == []


@KEYS
def test_both_names_at_once_are_an_error_that_names_both(key: str, tmp_path: Path):
    file = written(tmp_path, {**NEEDED.get(key, {}), key: VALUES[key]})
    both = yaml.safe_load(file.read_text())
    section = both
    for name in key.split(".")[:-1]:
        section = section[name]
    section[RENAMED[key]] = VALUES[key]
    file.write_text(yaml.safe_dump(both))
    with pytest.raises(UsageError, match=f"{file}: ") as error:
        loaded(file)
    assert key in str(error.value)
    assert present(key) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_file_s_present_name_gives_way_to_an_override_by_the_earlier_one(tmp_path: Path):
    experiment, messages = loaded(written(tmp_path, {"fit.ema_decay": 0.9}), "fit.ema=0.25")
    assert experiment.fit.ema_decay == 0.25
    assert len(messages) == 1
