"""Keys change with what a result depends on, and with nothing else."""

import shutil
from pathlib import Path

import pytest

from pipeline import keys
from pipeline.config import PROJECT, load
from stages.params.network import MLP, Bert, Model, ResNet, ViT

SMOKE = load(PROJECT / "conf" / "smoke.yaml")


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of the sources that may be edited."""
    shutil.copytree(PROJECT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(keys, "PACKAGES", tmp_path)
    keys.sources.cache_clear()
    yield tmp_path
    keys.sources.cache_clear()


def test_a_key_depends_on_params_and_upstream():
    key = keys.key_of("fit", SMOKE.fit, {"packed": "a"})
    assert key == keys.key_of("fit", SMOKE.fit, {"packed": "a"})
    assert key != keys.key_of("fit", SMOKE.fit, {"packed": "b"})
    assert key != keys.key_of("fit", SMOKE.fit.model_copy(update={"steps": 61}), {"packed": "a"})


def test_where_and_how_fast_a_run_goes_is_no_part_of_any_key():
    elsewhere = load(PROJECT / "conf" / "smoke.yaml", ["device=cpu", "threads=7", "store_root=/x", "name=other"])
    for stage in ("zoo", "fit", "evaluate"):
        assert keys.key_of(stage, SMOKE.params(stage), {}) == keys.key_of(stage, elsewhere.params(stage), {})


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("stages/fit.py", {"fit"}),
        ("stages/zoo.py", {"zoo"}),
        ("stages/params/fit.py", {"fit", "sample", "evaluate"}),
        ("stages/flow/ode.py", {"fit", "sample"}),
        ("stages/symmetry/rebasin.py", {"canonicalize", "pack", "evaluate"}),
        ("stages/audit/report.html.jinja", {"evaluate"}),
        ("stages/store/layout.py", {"zoo", "canonicalize", "pack", "fit", "sample", "evaluate"}),
    ],
)
def test_an_edit_changes_the_sources_of_exactly_the_stages_that_use_the_file(
    copied: Path, edited: str, changed: set[str]
):
    stages = ("zoo", "canonicalize", "pack", "fit", "sample", "evaluate")
    before = {stage: keys.sources(stage) for stage in stages}
    with (copied / edited).open("a") as file:
        file.write("\n# one more line\n")
    keys.sources.cache_clear()
    assert {stage for stage in stages if keys.sources(stage) != before[stage]} == changed


def test_imports_inside_functions_count(copied: Path):
    with (copied / "stages" / "pack.py").open("a") as file:
        file.write("\ndef late():\n    from stages.flow import ode\n    return ode\n")
    keys.sources.cache_clear()
    assert "stages/flow/ode.py" in keys.sources("pack")


def key(network) -> str:
    """The key of a zoo of this architecture, from the sources as they are now."""
    keys.sources.cache_clear()
    return keys.key_of("zoo", SMOKE.zoo.model_copy(update={"network": network}), {})


NETWORKS = {
    "mlp": MLP(widths=(4, 3)),
    "resnet": ResNet(),
    "vit": ViT(),
    "bert": Bert(),
    "model": Model(model="torchvision:resnet34", input=(3, 32, 32)),
}


@pytest.mark.parametrize("edited", sorted(NETWORKS))
def test_an_edit_of_one_architecture_changes_the_keys_of_its_zoos_alone(copied: Path, edited: str):
    before = {kind: key(network) for kind, network in NETWORKS.items()}
    with (copied / "stages" / "nets" / f"{edited}.py").open("a") as file:
        file.write("\n# one more line\n")
    assert [kind for kind, network in NETWORKS.items() if key(network) != before[kind]] == [edited]


def test_sections_say_which_modules_they_choose():
    assert SMOKE.zoo.modules() == ("stages.nets.mlp",)
    assert SMOKE.fit.modules() == ()
    assert "stages/nets/mlp.py" in keys.sources("zoo", SMOKE.zoo.modules())
    assert not [name for name in keys.sources("canonicalize") if name in ("stages/nets/mlp.py", "stages/nets/vit.py")]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package, which must not be run to be keyed."""
    package = tmp_path / "elsewhere" / "own_nets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    (package / "make.py").write_text("import torch\nfrom . import parts\nfrom .parts import block\n")
    (package / "parts.py").write_text("def block(): ...\n")
    (package / "other.py").write_text("")
    monkeypatch.syspath_prepend(package.parent)
    return package


@pytest.mark.parametrize(("edited", "changes"), [("make.py", True), ("parts.py", True), ("other.py", False)])
def test_an_edit_of_one_s_own_factory_trains_the_zoo_anew(own: Path, edited: str, changes: bool):
    network = Model(model="own_nets.make:make", input=(3,))
    before, mlp = key(network), key(NETWORKS["mlp"])
    (own / edited).write_text((own / edited).read_text() + "\n# one more line\n")
    assert (key(network) != before) == changes
    assert key(NETWORKS["mlp"]) == mlp
    assert {"own_nets/make.py", "own_nets/parts.py"} <= set(keys.sources("zoo", network.modules()))


def test_of_an_installed_package_the_chosen_module_alone_counts():
    plain = keys.sources("zoo", ("stages.nets.model",))
    chosen = keys.sources("zoo", ("stages.nets.model", "timm.models.vision_transformer"))
    assert set(chosen) - set(plain) == {"timm/models/vision_transformer.py"}
    assert keys.sources("zoo", ("stages.nets.model", "no_such_package.at.all")) == plain


def test_differences_name_the_nested_key_and_both_values():
    assert list(keys.differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4})) == [
        "a.c 2 -> 3",
        "d null -> 4",
    ]
