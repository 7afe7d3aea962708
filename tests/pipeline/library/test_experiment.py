"""Configurations with values laid over them from Python."""

from pathlib import Path

import pytest
import yaml
from smoke import SMOKE

import dwf


def test_sections_are_laid_over_the_file_value_by_value():
    plain = dwf.experiment(SMOKE)
    changed = dwf.experiment(SMOKE, fit={"steps": 7, "velocity": {"hidden": 9}}, device="cpu")
    assert (changed.fit.steps, changed.fit.velocity.hidden) == (7, 9)  # type: ignore[union-attr]
    assert changed.fit.velocity.time_dim == plain.fit.velocity.time_dim == 8  # type: ignore[union-attr]
    assert (changed.device, changed.zoo) == ("cpu", plain.zoo)


def test_a_mapping_replaces_what_is_no_mapping():
    changed = dwf.experiment(SMOKE, zoo={"dataset": {"name": "iris", "train": 30}})
    assert changed.zoo.dataset.train == 30  # type: ignore[union-attr]


def test_overrides_replace_what_is_there():
    velocity = {"kind": "mlp", "hidden": 5, "time_dim": 8}
    changed = dwf.experiment(SMOKE, overrides={"fit.velocity": velocity, "fit.steps": 3})
    assert (
        changed.fit.velocity.dropout == dwf.experiment(SMOKE, overrides={"fit.velocity": velocity}).fit.velocity.dropout
    )  # type: ignore[union-attr]
    assert (changed.fit.velocity.hidden, changed.fit.steps) == (5, 3)  # type: ignore[union-attr]


def test_a_mapping_or_an_experiment_does_as_well_as_a_file(tmp_path: Path):
    sections = yaml.safe_load(SMOKE.read_text())
    named = dwf.experiment(sections, name="smoke", store=tmp_path, fit={"steps": 7})
    expected = dwf.experiment(SMOKE, store=tmp_path, fit={"steps": 7})
    assert named == expected
    assert dwf.experiment(expected) == expected
    assert dwf.experiment(dwf.experiment(SMOKE), store=tmp_path, fit={"steps": 7}) == expected
    assert sections == yaml.safe_load(SMOKE.read_text())


def test_parameters_stand_for_their_values():
    fit = dwf.experiment(SMOKE, fit={"steps": 7}).fit
    assert dwf.experiment(SMOKE, fit=fit).fit == fit


def test_wrong_values_are_told_in_a_line():
    with pytest.raises(dwf.UsageError, match=r"smoke\.yaml: fit\.stepps: unknown key .*did you mean 'steps'"):
        dwf.experiment(SMOKE, fit={"stepps": 7})
    with pytest.raises(dwf.UsageError, match="experiment: fit: required, but missing"):
        dwf.experiment({"zoo": yaml.safe_load(SMOKE.read_text())["zoo"], "sample": {"networks": 2}})
    with pytest.raises(dwf.UsageError, match=r"fit\.steps: found object; expected what YAML holds"):
        dwf.experiment(SMOKE, fit={"steps": object()})
