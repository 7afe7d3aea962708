"""The JSON schema of a configuration describes every property, and conf/README.md names no others."""

import re
from typing import Any

import pytest
from smoke import PROJECT

from pipeline.config import Experiment

SCHEMA = Experiment.model_json_schema()
MODELS: dict[str, dict[str, Any]] = {
    "Experiment": SCHEMA,
    **{name: model for name, model in SCHEMA["$defs"].items() if "properties" in model},
}
DESCRIBED = {
    **{model: schema.get("description", "") for model, schema in MODELS.items()},
    **{
        f"{model}.{name}": value.get("description", "")
        for model, schema in MODELS.items()
        for name, value in schema["properties"].items()
    },
}


def test_the_schema_has_all_that_a_configuration_can_hold():
    assert {"MLP", "Images", "ImportedZoo", "Muon", "TokenVelocity", "Transfer", "BatchNorm"} <= MODELS.keys()
    assert len(DESCRIBED) > 200


@pytest.mark.parametrize("name", DESCRIBED)
def test_it_is_described_in_a_sentence(name: str):
    text = DESCRIBED[name]
    assert len(text.split()) >= 3, f"{name}: expected a description of three words or more, found {text!r}"
    assert not text[0].islower(), f"{name}: {text}"
    assert text.endswith("."), f"{name}: {text}"


PAGE = (PROJECT / "conf" / "README.md").read_text()
SECTIONS = {
    "zoo": tuple(name for name in MODELS if name == "ZooParams" or name.endswith("Zoo")),
    "fit": ("FitParams",),
    "sample": ("SampleParams",),
} | {
    "canonicalize": ("CanonicalizeParams",),
    "evaluate": ("EvaluateParams",),
}


def test_every_key_that_the_page_of_configurations_names_exists():
    named = set(re.findall(r"\b(zoo|canonicalize|fit|sample|evaluate)\.(?!yaml)([a-z_]+)", PAGE))
    keys = {(section, key) for section, models in SECTIONS.items() for m in models for key in MODELS[m]["properties"]}
    assert len(named) > 15
    assert named <= keys


def test_the_page_of_configurations_lists_every_file():
    files = {file.name for file in (PROJECT / "conf").rglob("*.yaml")}
    assert set(re.findall(r"`(\w+\.yaml)`", PAGE)) == files
