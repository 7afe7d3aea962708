"""The configuration is checked before anything runs, and says what is wrong where."""

import json
from pathlib import Path

import pytest
import yaml
from smoke import PROJECT

from pipeline.config import Experiment, flat_overrides, load
from stages.errors import UsageError

SMOKE = PROJECT / "conf" / "smoke.yaml"


@pytest.mark.parametrize("file", sorted((PROJECT / "conf").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_shipped_configuration_is_valid_and_named_after_its_file(file: Path):
    assert load(file).name == file.stem


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("fit.stesp=5", ["fit.stesp", "unknown key", "value 5", "did you mean 'steps'", "velocity"]),
        ("fitt.steps=5", ["fitt", "unknown key", "did you mean 'fit'"]),
        ("zoo.members=-3", ["zoo.members", "greater than or equal to 2", "-3"]),
        ("fit.space.compnents=3", ["compnents", "did you mean 'components'"]),
        ("fit.preset=papr", ["papr", "paper_mlp"]),
        (
            "zoo.dataset=mnits",
            ["zoo.dataset.name", "unknown value 'mnits'; allowed here: iris, digits", "; did you mean 'mnist'?"],
        ),
        ("zoo.dataset={name: mnits, size: 32}", ["zoo.dataset.name", "'mnist'", "'mnits'"]),
        ("zoo.dataset={nam: iris}", ["zoo.dataset.name: required, but missing; found {'nam': 'iris'}"]),
        (
            "zoo.dataset={name: mnist, sise: 32}",
            ["sise", "did you mean 'size'?", "channels, classes, name, normalize, only, size, test, train"],
        ),
        (
            "zoo.dataset={name: iris, size: 32}",
            ["size", "unknown key", "allowed here: name, normalize, only, test, train, validation"],
        ),
        ("zoo.network.widths=[4]", ["zoo.network.widths", "at least 2"]),
        ("zoo.recipe.lr=.inf", ["zoo.recipe.lr", "finite"]),
        ("zoo=1", ["zoo", "found 1"]),
        (
            "zoo.other_datasets=[{name: iris, train: 60}]",
            ["smoke.yaml: zoo.other_datasets: of iris and iris-2, say which", "{dataset: iris}"],
        ),
        ("device=gpu", ["device", "auto|cpu|cuda"]),
        (
            "fit.condition=[validation_scor]",
            [
                "fit.condition: found 'validation_scor'",
                "allowed here: initialisation",
                "did you mean 'validation_score'",
            ],
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(override: str, says: list[str]):
    with pytest.raises(UsageError) as error:
        load(SMOKE, [override])
    assert all(word in str(error.value) for word in ["smoke.yaml", *says])


def test_each_wrong_key_gets_its_own_line():
    with pytest.raises(UsageError) as error:
        load(SMOKE, ["fit.stesp=5", "sample.networks=0"])
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["fit.steps", "=5", "fit.steps.more=5"])
def test_a_malformed_override_is_refused(text: str):
    with pytest.raises(UsageError, match="--set"):
        load(SMOKE, [text])


def test_overrides_win_over_the_file_and_keep_their_yaml_types():
    experiment = load(SMOKE, ["fit.steps=7", "fit.space={kind: raw}", "zoo.initialisations=[normal, torch]"])
    assert experiment.fit.steps == 7
    assert experiment.fit.space.kind == "raw"
    assert experiment.zoo.initialisations == ("normal", "torch")


def test_overrides_given_as_a_mapping_are_the_same():
    assert load(SMOKE, flat_overrides({"fit.steps": 7, "fit.source": {"std": 0.5}})).fit == (
        load(SMOKE, ["fit.steps=7", "fit.source.std=0.5"]).fit
    )


def test_a_missing_section_is_named(tmp_path: Path):
    values = yaml.safe_load(SMOKE.read_text())
    del values["sample"]
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UsageError, match="sample: required, but missing"):
        load(tmp_path / "x.yaml")


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "zoo: {}\nzoo: {}\n", "\x00"])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"bad\.yaml"):
        load(tmp_path / "bad.yaml")


def test_the_environment_and_then_the_option_name_the_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DWF_DATA_ROOT", str(tmp_path / "a"))
    assert load(SMOKE).data_root == tmp_path / "a"
    assert load(SMOKE, data=tmp_path / "b").data_root == tmp_path / "b"


def test_the_schema_is_json_and_knows_every_stage():
    schema = json.loads(json.dumps(Experiment.model_json_schema()))
    assert {"zoo", "canonicalize", "pack", "fit", "sample", "evaluate"} <= set(schema["properties"])
