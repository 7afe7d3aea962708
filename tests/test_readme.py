"""The pages say what is true: their paths exist, their commands and keys are valid, their code runs."""

import inspect
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pictures
import pytest
import torch
import typer.main
import xarray as xr
import yaml
from pydantic import TypeAdapter
from smoke import PROJECT, Done

from pipeline.cli import app
from pipeline.config import Experiment, load
from pipeline.dag import STAGES
from pipeline.prefect.flow import dwf as prefect_flow
from pipeline.sweep.spec import flat_overrides, read_sweep
from stages.artifacts.export import export_networks
from stages.errors import UsageError
from stages.evaluation.figures import read_figures
from stages.params.dataset import Dataset
from stages.params.network import Network
from stages.params.zoo import RecipeFactory, Zoo
from stages.reporting.lineage import run_of
from stages.reporting.page import write_page
from stages.store.artifact import FOLDERS

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "conf/RESULTS.md",
    "conf/README.md",
    "data/README.md",
    "pipeline/library/README.md",
)
TEXTS = {page: (PROJECT / page).read_text() for page in PAGES}
README = TEXTS["README.md"]
STAND_INS = {"conf/x.yaml": "conf/smoke.yaml", "FILE": "conf/sweeps/smoke.yaml"}
"""What stands for any configuration or sweep on the pages -> a real one."""
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def blocks(text: str, language: str) -> list[str]:
    """The contents of a page's code blocks in a language."""
    return [
        code for name, code in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if name == language
    ]


def spans(text: str) -> list[str]:
    """What stands between backticks within the prose and tables of a page, on one line each."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def command_lines(text: str) -> list[list[str]]:
    """The commands of a page as lists of words, without `uv run`."""
    lines = [line for block in blocks(text, "sh") for line in block.replace("\\\n", " ").splitlines()]
    parts = [part for line in [*lines, *spans(text)] for part in line.split("&&")]
    split = [shlex.split(part, comments=True) for part in parts if re.match(r"\s*(uv|dwf|prefect)\s", part)]
    return [words[2:] if words[:2] == ["uv", "run"] else words for words in split]


RUNNABLE = {" ".join(words): words for text in TEXTS.values() for words in command_lines(text)}
DWF = sorted(line for line, words in RUNNABLE.items() if words[0] == "dwf" and len(words) > 2)


def parsed(line: str) -> tuple[str, dict[str, object]]:
    """A dwf command's name and its parameters by name, with a real configuration where the page has any."""
    _, name, *arguments = RUNNABLE[line]
    arguments = [STAND_INS.get(argument, argument) for argument in arguments]
    return name, COMMANDS[name].make_context(name, arguments).params


def check_configuration(name: str, params: dict[str, object]) -> None:
    """Load every configuration that a command would run; raises UsageError where a file or a key is wrong."""
    overrides = tuple(params.get("overrides") or ())  # type: ignore[arg-type]
    if name != "sweep":
        load(Path(str(params["config"])), overrides)
        return
    words = list(params["config_and_axes"])  # type: ignore[call-overload]
    axes = [word for word in words if "=" in word] + list(params["grid"] or ())  # type: ignore[call-overload]
    sweep = read_sweep(Path(next(word for word in words if "=" not in word)), axes)
    for point in sweep.points:
        load(sweep.base, (*sweep.shared, *overrides, *flat_overrides(point)))


@pytest.mark.parametrize("line", DWF)
def test_commands_parse_and_name_what_exists(line: str):
    name, params = parsed(line)
    if "overrides" in params and name != "audit":  # whose members are files or a configuration
        check_configuration(name, params)
    if name == "stage":
        assert params["name"] in STAGES
    if name in ("show", "verify", "export"):
        assert params["artifact"] in FOLDERS or str(params["artifact"]).startswith("<")
    if name == "symmetry":
        assert [n for n in params["networks"] if ":" not in n and not (PROJECT / n).exists()] == []  # type: ignore[attr-defined]


def test_commands_are_found_in_prose_tables_and_code():
    assert {"dwf init iris_mlp", "dwf sweep conf/sweeps/mnist_integrator.yaml", "dwf show pack"} <= {*DWF}
    assert len(DWF) > 25


@pytest.mark.parametrize("arguments", ["run --sett a=1 conf/smoke.yaml", "stage fit", "show"])
def test_a_wrong_command_would_be_noticed(arguments: str):
    name, *rest = arguments.split()
    with pytest.raises(Exception, match=r"No such option|Missing parameter"):  # of the click that typer brings
        COMMANDS[name].make_context(name, rest)


def test_a_wrong_key_would_be_noticed():
    with pytest.raises(UsageError, match="unknown key"):
        check_configuration("sweep", {"config_and_axes": ["conf/smoke.yaml", "fit.sed=0,1"], "grid": None})


def test_the_table_of_commands_has_them_all():
    first_cells = " ".join(re.findall(r"^\| (`dwf [^|]+)\|", README, re.MULTILINE))
    assert set(re.findall(r"`dwf (\w+)", first_cells)) == set(COMMANDS)


def test_other_commands_exist():
    others = [words for words in RUNNABLE.values() if words[0] not in ("dwf", "uv")]
    tools = {"ruff", "pyright", "lint-imports", "pytest", "python", "prefect"}
    assert {words[0] for words in others} <= tools
    assert all((PROJECT / words[1]).exists() for words in others if words[0] == "python")
    given = [words[i + 1] for words in others for i, word in enumerate(words) if word == "--param"]
    assert {pair.partition("=")[0] for pair in given} <= set(inspect.signature(prefect_flow.fn).parameters)
    assert given


@pytest.mark.parametrize("page", PAGES)
def test_options_and_keys_in_prose_are_valid(page: str):
    for span in spans(TEXTS[page]):
        if span.startswith("--set ") and "KEY" not in span:
            load(PROJECT / "conf" / "smoke.yaml", [span.removeprefix("--set ")])
    sections = Experiment.model_json_schema()["properties"].keys() & {*STAGES}
    names = {key for model in Experiment.model_json_schema()["$defs"].values() for key in model.get("properties", ())}
    named = re.findall(rf"`({'|'.join(sections)})\.([a-z_]+)[^`/]*`", TEXTS[page])
    assert [f"{section}.{key}" for section, key in named if key not in {*names, "yaml", "html"}] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", TEXTS[page])
    for link in links:
        path, _, anchor = link.partition("#")
        target = (PROJECT / page).parent / path if path else PROJECT / page
        assert target.exists(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, link


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_prose_and_code_exist(page: str):
    """With `<kind>` and the like for any file, and folders of artifacts by their names."""
    named = re.findall(r"(?<![\w/.-])((?:conf|pipeline|stages|tests|data|\.ci)/[\w./<>-]*)", TEXTS[page])
    real = {path.rstrip(".,") for path in named} - STAND_INS.keys()
    for path in real:
        if path.startswith("data/") and path not in ("data/", "data/README.md"):
            assert path.split("/")[1] in {*FOLDERS.values(), "0_raw", ".prefect"}, path
        elif "<" in path:
            assert list(PROJECT.glob(re.sub(r"<\w+>", "*", path))), path
        else:
            assert (PROJECT / path).exists(), path
    stores = re.findall(r"\b(\d_[a-z]+)/", TEXTS[page])
    assert set(stores) <= {*FOLDERS.values(), "0_raw"}


def test_the_page_of_artifacts_has_all_folders():
    folders = re.findall(r"^\| `(\d_\w+)/`", TEXTS["data/README.md"], re.MULTILINE)
    assert folders == ["0_raw", *FOLDERS.values()]


def test_the_map_has_every_room():
    (tree,) = blocks(README, "")
    named = set(re.findall(r"([\w]+)/", tree))
    rooms = {path.name for top in ("stages", "pipeline") for path in (PROJECT / top).iterdir() if path.is_dir()}
    assert rooms - {"__pycache__"} <= named
    assert named <= rooms | {path.name for path in (*PROJECT.iterdir(), *(PROJECT / "conf").iterdir())}


def test_yaml_as_shown_is_valid():
    sections, zoo = blocks(README, "yaml")
    kinds = {"network": Network, "dataset": Dataset, "recipe": RecipeFactory}
    for line in sections.splitlines():
        ((name, section),) = yaml.safe_load(line).items()
        TypeAdapter(kinds[name]).validate_python(section)
    assert TypeAdapter(Zoo).validate_python(yaml.safe_load(zoo)["zoo"]).source == "checkpoints"


def snippet(word: str) -> str:
    """The README's Python code that uses a word."""
    return next(block for block in blocks(README, "python") if word in block)


def test_exported_networks_load_in_plain_torch_as_shown(
    finished: tuple[Path, Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    export_networks(finished[1]["sample"][0].path, tmp_path / "networks")
    monkeypatch.chdir(tmp_path)
    names: dict[str, torch.nn.Module] = {}
    eight_units = snippet("load_file").replace("Linear(4, 4)", "Linear(4, 8)").replace("Linear(4, 3)", "Linear(8, 3)")
    exec(eight_units, names)
    assert names["net"](torch.zeros(2, 4)).shape == (2, 3)


def test_artifacts_open_in_xarray_as_shown(finished: tuple[Path, Done]):
    packed = finished[1]["pack"][0].path
    names: dict[str, xr.Dataset] = {}
    exec(snippet("xarray").replace("data/3_packed/<key>", str(packed)), names)
    assert names["packed"].weights.dims == ("network", "parameter")


def test_the_library_is_used_as_shown(finished: tuple[Path, Done], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    opened = f'dwf.open("{shutil.copytree(finished[0], tmp_path / "data")}")'
    code = snippet("import dwf").replace('dwf.run("conf/iris.yaml", fit={"steps": 500})', opened)
    assert opened in code
    names: dict[str, Any] = {}
    exec(code, names)
    assert "held-out" in capsys.readouterr().out
    assert [len(names["nets"]), names["net_b"].training] == [16, False]


def test_pages_are_short_and_narrow():
    assert len(README.splitlines()) <= 200
    assert len(TEXTS["CONTRIBUTING.md"].splitlines()) <= 60
    assert [line for line in README.splitlines() if len(line) > 120] == []
    prose = [line for text in TEXTS.values() for line in text.splitlines() if not line.startswith("|")]
    assert [line for line in prose if len(line) > 120] == []


def test_headline_figures_are_those_of_the_results():
    figures = set(re.findall(r"\d+\.\d+ ± \d+\.\d+", README))
    assert len(figures) > 10
    assert figures - set(re.findall(r"\d+\.\d+ ± \d+\.\d+", TEXTS["conf/RESULTS.md"])) == set()


def test_pictures_are_shown_and_small():
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", README)
    assert {PROJECT / path for path in shown} == set(pictures.PICTURES.iterdir())
    assert [path for path in shown if (PROJECT / path).stat().st_size >= 300_000] == []


def test_the_picture_of_the_dag_shows_every_stage_and_edge(tmp_path: Path):
    assert tuple(pictures.MAKES) == STAGES
    assert {("zoo", "canonicalize"), ("fit", "sample"), ("zoo", "evaluate"), ("evaluate", "report")} <= {
        *pictures.edges()
    }
    pictures.draw_dag(tmp_path / "dag.png")
    assert 10_000 < (tmp_path / "dag.png").stat().st_size < 300_000


@pytest.mark.skipif(pictures.browser() is None, reason="needs Chromium")
def test_a_report_is_pictured(finished: tuple[Path, Done], tmp_path: Path):
    evaluated = finished[1]["evaluate"][0].path
    write_page(tmp_path / "report.html", read_figures(evaluated), run_of(evaluated))
    pictures.draw_report(tmp_path / "report.html", tmp_path / "report.png")
    assert 30_000 < (tmp_path / "report.png").stat().st_size < 300_000


def test_every_dependency_is_locked_by_its_hash():
    packages = tomllib.loads((PROJECT / "uv.lock").read_text())["package"]
    locked = [package for package in packages if "registry" in package["source"]]
    assert [package["name"] for package in packages if package not in locked] == ["dwf"]
    files = [file for package in locked for file in (*package.get("wheels", ()), package.get("sdist"))]
    assert len(locked) > 100
    assert all(file["hash"].startswith("sha256:") for file in files if file)
    assert all(package.get("wheels") or package.get("sdist") for package in locked)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert "2601.05052" in citation["references"][0]["url"]
