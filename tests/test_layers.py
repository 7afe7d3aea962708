"""Rules of the sources that hold for code that no test runs: how things are imported, and how modules begin.

That imports run one way is the import linter's contract in pyproject.toml.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from smoke import PROJECT

SOURCES = sorted(path for package in ("stages", "pipeline") for path in (PROJECT / package).rglob("*.py"))
BY_NAME = {
    "stages.datasets.splits",
    "stages.evaluation",
    "stages.factories",
    "stages.flow.spaces.base",
    "stages.flow.velocity.base",
    "stages.members.sources",
    "stages.nets.registry",
    "stages.sampling.sources",
}
"""They import what parameters name, which `Params.modules` tells the keys, or all modules of a package."""
QUESTIONS = ("How", "What", "Whether", "Where", "When", "Why", "Which", "Who")


def name_of(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text()) for path in SOURCES}


def imported(module: str) -> Iterator[str]:
    """Every module and name that a module imports, wherever in it; `from a import b` counts as a and a.b."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


IMPORTS = {module: set(imported(module)) for module in TREES}


def test_the_sources_were_read():
    assert {"stages.zoo", "stages.store.weights", "pipeline.keys", "stages.params.fit"} <= set(IMPORTS)
    assert "stages.store.weights.WeightsWriter" in IMPORTS["stages.sample"]


def test_the_layers_hold():
    found = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], capture_output=True, text=True, cwd=PROJECT
    )
    assert found.returncode == 0, found.stdout


def test_the_test_split_is_loaded_by_evaluate_alone():
    users = {module for module, names in IMPORTS.items() if any(name.endswith(".load_test") for name in names)}
    assert users == {"stages.datasets", "stages.evaluate", "pipeline.library.evaluation"}


def test_no_import_is_relative():
    assert [module for module, names in IMPORTS.items() if any(name.startswith(".") for name in names)] == []


def test_in_stages_only_registries_import_by_name():
    """Keys follow imports: one that can't be read from the source would go unseen."""
    found = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__")
    }
    assert {module for module in found if module.startswith("stages")} == BY_NAME


def test_parameters_are_read_without_torch_or_zarr():
    """What a configuration costs: a fraction of a second, not the five that torch takes."""
    modules = sorted(name for name in IMPORTS if name.startswith("stages.params"))
    heavy = "{'torch', 'zarr', 'numpy', 'scipy', 'sklearn', 'prefect'}"
    code = f"import sys, {', '.join(modules)}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert found.stdout.strip() == "[]"


def test_annotations_are_values():
    """Live checks of shapes need them: with the future import they would be strings."""
    assert [module for module, names in IMPORTS.items() if "__future__.annotations" in names] == []


@pytest.mark.parametrize("module", sorted(TREES))
def test_a_module_begins_by_saying_what_it_holds(module: str):
    text = ast.get_docstring(TREES[module]) or ""
    assert text.split()[0] not in QUESTIONS
    assert len(text.splitlines()[0]) <= 120
