"""Keys change with what a result depends on, and with nothing else."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from smoke import PROJECT

from pipeline import keys
from pipeline.config import load
from pipeline.dag import STAGES
from pipeline.runner import Runner
from stages.errors import UsageError
from stages.params.network import MLP, Bert, Model, ResNet, ViT

SMOKE = load(PROJECT / "conf" / "smoke.yaml")
TOKENS = load(PROJECT / "conf" / "digits_tokens.yaml")
SIX = STAGES[:-1]


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of the sources that may be edited."""
    shutil.copytree(PROJECT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(keys, "PACKAGES", tmp_path)
    keys.sources.cache_clear()
    yield tmp_path
    keys.sources.cache_clear()


def keys_now() -> dict[str, str]:
    """Every stage's key, from the sources as they are now."""
    keys.sources.cache_clear()
    return {step.stage: step.key for step in Runner(SMOKE).plan()}


def changed(edit: Callable[[], object]) -> set[str]:
    """The stages whose keys an edit changes."""
    before = keys_now()
    edit()
    after = keys_now()
    return {stage for stage in STAGES if before[stage] != after[stage]}


def sources_changed(edit: Callable[[], object]) -> set[str]:
    """The stages of whose sources an edit changes the meaning; the keys of those that need them change, too."""

    def sources() -> dict[str, dict[str, str]]:
        keys.sources.cache_clear()
        return {stage: keys.sources(stage, SMOKE.params(stage).modules()) for stage in SIX}

    before = sources()
    edit()
    after = sources()
    return {stage for stage in SIX if before[stage] != after[stage]}


def replace(path: Path, old: str, new: str) -> None:
    """Edit a file in one place that must be there."""
    text = path.read_text()
    assert old in text, f"{path} has changed; choose something else to edit"
    path.write_text(text.replace(old, new, 1))


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def every_source(root: Path) -> list[Path]:
    return sorted((root / "stages").rglob("*.py"))


def test_a_key_depends_on_params_and_upstream():
    key = keys.key_of("fit", SMOKE.fit, {"packed": "a"})
    assert key == keys.key_of("fit", SMOKE.fit, {"packed": "a"})
    assert key != keys.key_of("fit", SMOKE.fit, {"packed": "b"})
    assert key != keys.key_of("fit", SMOKE.fit.model_copy(update={"steps": 61}), {"packed": "a"})


def test_where_and_how_fast_a_run_goes_is_no_part_of_any_key():
    elsewhere = load(PROJECT / "conf" / "smoke.yaml", ["device=cpu", "threads=7", "store_root=/x", "name=other"])
    for stage in STAGES:
        assert keys.key_of(stage, SMOKE.params(stage), {}) == keys.key_of(stage, elsewhere.params(stage), {})


def test_comments_and_docstrings_change_the_page_alone(copied: Path):
    def edit() -> None:
        for path in every_source(copied):
            text = path.read_text()
            docstrings = [
                node
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ]
            lines = text.splitlines()
            for node in docstrings:
                lines[node.lineno - 1] = lines[node.lineno - 1].replace('"""', '"""Edited. ', 1) + "  # and a comment"
            path.write_text("\n".join(["# one more line", *lines]))

    assert changed(edit) == {"report"}


@pytest.mark.parametrize("name", ["stages/errors.py", "stages/progress.py", "stages/context.py", "stages/columns.py"])
def test_modules_of_messages_and_of_progress_change_the_page_alone(copied: Path, name: str):
    assert changed(lambda: append(copied / name, "\nMORE = 1\n")) == {"report"}


def test_the_words_of_an_error_change_the_page_alone(copied: Path):
    layout = copied / "stages" / "store" / "layout.py"
    assert "stages/store/layout.py" in keys.sources("zoo", SMOKE.zoo.modules())
    assert changed(lambda: replace(layout, "isn't part of the layout", "is too much")) == {"report"}
    assert set(SIX) <= changed(lambda: replace(layout, "raise LayoutMismatch", "raise KeyError"))


def reporting_files() -> list[str]:
    files = (PROJECT / "stages" / "reporting").rglob("*")
    return sorted(str(f.relative_to(PROJECT)) for f in files if f.suffix in (".py", ".jinja"))


@pytest.mark.parametrize("name", reporting_files())
def test_an_edit_of_the_page_draws_it_again_and_measures_nothing(copied: Path, name: str):
    parts = ("sweep_page", "sweep_results", "sweep_verdict", "generators_page")
    sweeps_alone = {f"stages/reporting/{part}.py" for part in parts}
    module = "reporting.generators_page" if "generators_page" in name else "reporting.sweep_page"
    before = keys.sources(module)
    expected: set[str] = set() if name in sweeps_alone else {"report"}
    assert changed(lambda: append(copied / name, "\n")) == expected
    if name in sweeps_alone | {"stages/reporting/sweep_page.html.jinja"}:
        assert keys.sources(module) != before


def test_ruff_may_lay_the_sources_out_in_any_way(copied: Path):
    def edit() -> None:
        ruff = [sys.executable, "-m", "ruff"]
        narrow = ["--no-cache", "--isolated", "--config", "line-length=60"]
        subprocess.run([*ruff, "format", "--quiet", *narrow, copied / "stages"], check=True)
        subprocess.run([*ruff, "check", "--quiet", "--fix", "--select=I", *narrow, copied / "stages"], check=True)

    before = (copied / "stages" / "zoo.py").read_text()
    assert changed(edit) == {"report"}
    assert (copied / "stages" / "zoo.py").read_text() != before


def test_a_constant_changes_the_stages_that_use_it_and_those_after_them(copied: Path):
    rebasin = copied / "stages" / "symmetry" / "rebasin.py"
    edit = lambda old, new: lambda: replace(rebasin, old, new)  # noqa: E731
    assert sources_changed(edit("max_sweeps: int = 100", "max_sweeps: int = 99")) == {
        "canonicalize",
        "pack",
        "evaluate",
    }
    assert changed(edit("max_sweeps: int = 99", "max_sweeps: int = 98")) == set(STAGES) - {"zoo"}


@pytest.mark.parametrize(
    ("edited", "stages"),
    [
        ("stages/fit.py", {"fit"}),
        ("stages/zoo.py", {"zoo"}),
        ("stages/params/fit.py", {"fit", "sample", "evaluate"}),
        ("stages/flow/ode.py", {"fit", "sample"}),
        ("stages/store/layout.py", set(SIX)),
    ],
)
def test_an_edit_changes_the_sources_of_exactly_the_stages_that_use_the_file(
    copied: Path, edited: str, stages: set[str]
):
    assert sources_changed(lambda: append(copied / edited, "\nMORE = 1\n")) == stages


def test_imports_inside_functions_count(copied: Path):
    append(copied / "stages" / "pack.py", "\ndef late():\n    from stages.flow import ode\n    return ode\n")
    keys.sources.cache_clear()
    assert "stages/flow/ode.py" in keys.sources("pack")


def test_all_modules_of_a_package_that_imports_what_it_finds_count(copied: Path):
    package = copied / "stages" / "found"
    package.mkdir()
    (package / "__init__.py").write_text("from stages.evaluation import modules_in\nFOUND = modules_in(__name__)\n")
    (package / "one.py").write_text("ONE = 1\n")
    append(copied / "stages" / "pack.py", "\nfrom stages.found import FOUND\n")
    assert sources_changed(lambda: (package / "two.py").write_text("TWO = 2\n")) == {"pack"}
    assert {"stages/found/one.py", "stages/found/two.py"} <= set(keys.sources("pack"))


def test_the_key_format_is_part_of_every_key(monkeypatch: pytest.MonkeyPatch):
    assert changed(lambda: monkeypatch.setattr(keys, "KEY_FORMAT", 3)) == set(STAGES)


ROOMS = {
    "zoo": {"zoo.py", "datasets", "nets", "members"},
    "canonicalize": {"canonicalize.py", "datasets", "nets", "symmetry", "canonical"},
    "pack": {"pack.py", "symmetry", "canonical"},
    "fit": {"fit.py", "flow", "flow_training"},
    "sample": {"sample.py", "flow", "sampling"},
    "evaluate": {"evaluate.py", "datasets", "nets", "members", "evaluation"},
}
"""The rooms of `stages` that anybody would expect in a stage's key."""
EVERYWHERE = {
    *("params", "checkpoint_paths.py", "content_hashes.py", "factories.py", "matrix_files.py"),
    *("store", "artifacts", "seeds.py", "scores.py"),
}
"""Rooms that every stage may use: parameters and the files that they mean, readers and writers, and the leaves."""
SURPRISING = {
    ("zoo", "symmetry/fresh.py"): "the requirements of a network are checked on a copy without cached state",
    ("canonicalize", "precision.py"): "outputs are compared in double precision",
    ("pack", "nets"): "the running statistics and singular vectors among a network's buffers",
    ("pack", "flow/spaces"): "the spectrum of the members and its effective rank",
    ("fit", "sampling/completion.py"): "BatchNorm statistics of the networks that a check samples",
    ("fit", "members/scoring.py"): "the validation scores of those networks",
    ("fit", "members/optimizer.py"): "the half cosine along which learning rates fall",
    ("fit", "datasets"): "the training and validation data for that",
    ("fit", "nets"): "those networks' modules, and the loss of their outputs",
    ("fit", "canonical/sorted_values.py"): "the distances to members of those networks",
    ("fit", "symmetry/table.py"): "neuron tokens are cut along its groups",
    ("sample", "members/scoring.py"): "the validation scores by which keep_fraction chooses",
    ("sample", "datasets"): "the training data for BatchNorm statistics and that choice",
    ("sample", "nets"): "the modules whose BatchNorm statistics are estimated anew",
    (
        "evaluate",
        "canonical",
    ): "networks that were fine-tuned or have no canonical form yet are aligned before distances",
    ("evaluate", "symmetry"): "the same, and the aligned distance",
    ("evaluate", "precision.py"): "scores before and after canonicalizing are of double precision",
    ("evaluate", "flow"): "the space of the flow, in which a baseline draws and the round trip is taken",
    ("evaluate", "sampling"): "baselines get BatchNorm statistics and are chosen as generated networks are",
}
"""Everything else in a key: (stage, file or folder) -> why the stage's numbers depend on it."""


def surprises(stage: str) -> dict[str, list[str]]:
    """The files in a stage's key that lie outside its rooms, each with the entries of SURPRISING that cover it."""
    by_kind = [keys.sources(stage, experiment.params(stage).modules()) for experiment in (SMOKE, TOKENS)]
    names = sorted({name.removeprefix("stages/") for sources in by_kind for name in sources})
    outside = [name for name in names if name.split("/")[0] not in ROOMS[stage] | EVERYWHERE]
    reasons = [place for of, place in SURPRISING if of == stage]
    return {name: [place for place in reasons if f"{name}/".startswith(f"{place}/")] for name in outside}


@pytest.mark.parametrize("stage", SIX)
def test_whatever_is_in_a_key_has_a_reason(stage: str):
    """A new import may be one too many: take it out, or say in SURPRISING why the stage's numbers depend on it."""
    found = surprises(stage)
    assert [name for name, places in found.items() if not places] == [], f"no reason for these in the key of {stage}"
    used = {place for places in found.values() for place in places}
    assert {place for of, place in SURPRISING if of == stage} - used == set(), f"no longer in the key of {stage}"


def test_nothing_that_only_tells_is_in_a_key():
    for stage in SIX:
        rooms = {name.split("/")[1] for name in keys.sources(stage, SMOKE.params(stage).modules())}
        assert not rooms & {"errors.py", "progress.py", "context.py", "columns.py", "reporting"}


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
    append(copied / "stages" / "nets" / f"{edited}.py", "\nMORE = 1\n")
    assert [kind for kind, network in NETWORKS.items() if key(network) != before[kind]] == [edited]


def test_sections_say_which_modules_they_choose():
    assert "stages.nets.mlp" in SMOKE.zoo.modules()
    assert "stages/nets/mlp.py" in keys.sources("zoo", SMOKE.zoo.modules())
    assert not [name for name in keys.sources("canonicalize") if name in ("stages/nets/mlp.py", "stages/nets/vit.py")]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package, which must not be run to be keyed."""
    package = tmp_path / "elsewhere" / "own_nets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    (package / "make.py").write_text("import torch\nimport shared\nfrom . import parts\nfrom .parts import block\n")
    (package / "parts.py").write_text("def block(): ...\n")
    (package / "other.py").write_text("")
    (package.parent / "shared.py").write_text("import os\nimport numpy\n")
    (package.parent / "unused.py").write_text("")
    monkeypatch.syspath_prepend(package.parent)
    return package


@pytest.mark.parametrize(
    ("edited", "changes"),
    [("make.py", True), ("parts.py", True), ("other.py", False), ("../shared.py", True), ("../unused.py", False)],
)
def test_an_edit_of_one_s_own_factory_trains_the_zoo_anew(own: Path, edited: str, changes: bool):
    network = Model(model="own_nets.make:make", input=(3,))
    before, mlp = key(network), key(NETWORKS["mlp"])
    append(own / edited, "\n# one more line\n")
    assert key(network) == before
    append(own / edited, "\nMORE = 1\n")
    assert (key(network) != before) == changes
    assert key(NETWORKS["mlp"]) == mlp
    others = set(keys.sources("zoo", NETWORKS["mlp"].modules())) | {"stages/nets/model.py", "stages/factories.py"}
    assert set(keys.sources("zoo", network.modules())) - others == {
        "own_nets/__init__.py",
        "own_nets/make.py",
        "own_nets/parts.py",
        "shared.py",
    }


def test_a_factory_that_is_no_python_is_one_line_that_names_the_file(own: Path):
    append(own / "parts.py", "def\n")
    with pytest.raises(UsageError, match=r"own_nets/parts\.py: not readable as Python \(.*line 2\)") as error:
        key(Model(model="own_nets.make:make", input=(3,)))
    assert len(str(error.value).splitlines()) == 1


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
