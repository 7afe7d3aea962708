"""Imports run one way; read from the sources, so that a rule holds for code that no test runs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERBS = ("zoo", "canonicalize", "pack", "fit", "sample", "evaluate")
SOURCES = sorted((ROOT / "stages").rglob("*.py"))
BY_NAME = {
    "stages.datasets.splits",
    "stages.discovery",
    "stages.flow.spaces.base",
    "stages.flow.velocity.base",
    "stages.members.sources",
    "stages.nets.model",
    "stages.nets.registry",
}
"""They import what parameters name, which `Params.modules` tells the keys, or all modules of a package."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Every module that a source imports, wherever in it, as dotted names; `from a import b` counts as a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            assert name_of(path) in BY_NAME, f"{path}:{node.lineno}: an import that can't be read"
    return found


IMPORTS = {name_of(path): imports(path) for path in SOURCES}


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def users(package: str) -> set[str]:
    """The modules of stages that import a package or something in it."""
    return {module for module, found in IMPORTS.items() if any(below(name, package) for name in found)}


def ours(package: str) -> set[str]:
    """What the modules below a package import from the project."""
    return {
        name
        for module, found in IMPORTS.items()
        if below(module, package)
        for name in found
        if below(name, "stages") or below(name, "pipeline")
    }


def test_the_sources_were_read():
    assert {"stages.zoo", "stages.store.weights", "stages.symmetry.table", "stages.params.fit"} <= set(IMPORTS)
    assert "zarr" in IMPORTS["stages.store.weights"]
    assert "stages.store.weights.Weights" in IMPORTS["stages.zoo"]


@pytest.mark.parametrize("package", ["prefect", "pipeline"])
def test_stages_know_nothing_of_the_orchestrator(package):
    assert users(package) == set()


def test_only_the_store_reads_and_writes_zarr():
    assert {module for module in users("zarr") if not below(module, "stages.store")} == set()


@pytest.mark.parametrize("package", ["stages.symmetry", "stages.store"])
def test_the_foundation_stands_on_nothing_of_ours(package):
    strangers = {n for n in ours(package) if not below(n, package) and not below(n, "stages.errors") and n != "stages"}
    assert strangers == set()


PEERS = ("nets", "flow", "audit", "datasets")


@pytest.mark.parametrize("one", PEERS)
@pytest.mark.parametrize("other", PEERS)
def test_peers_do_not_import_each_other(one, other):
    if one != other:
        assert {name for name in ours(f"stages.{one}") if below(name, f"stages.{other}")} == set()


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_are_imported_by_nothing_in_stages(verb):
    """Neither by another verb nor by anything that a verb stands on."""
    assert {module for module in users(f"stages.{verb}") if module != f"stages.{verb}"} == set()


@pytest.mark.parametrize("module", sorted(name for name in IMPORTS if below(name, "stages.params")))
def test_parameters_stand_on_parameters(module):
    allowed = ("stages.params", "stages.errors")
    assert {
        n for n in IMPORTS[module] if below(n, "stages") and n != "stages" and not any(below(n, a) for a in allowed)
    } == set()


def test_parameters_are_read_without_torch_or_zarr():
    """What a configuration costs: a fraction of a second, not the five that torch takes."""
    modules = sorted(name for name in IMPORTS if below(name, "stages.params"))
    heavy = "{'torch', 'zarr', 'numpy', 'scipy', 'sklearn', 'prefect'}"
    code = f"import sys, {', '.join(modules)}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_annotations_are_values():
    """Live checks of shapes need them: with the future import they would be strings."""
    assert [module for module, found in IMPORTS.items() if "__future__.annotations" in found] == []
