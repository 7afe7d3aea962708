"""What all commands have in common: one JSON document, silence where it is asked for, failures in one line."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from smoke import PROJECT, SMOKE, Done, Dwf

from pipeline.cli import app
from pipeline.dag import STAGES

COMMAND = (sys.executable, "-m", "pipeline")


def names() -> set[str]:
    return {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}


def arguments(tmp_path: Path) -> dict[str, list[object]]:
    """A use of every command on a finished store; `up` serves until it is interrupted."""
    return {
        "init": [],
        "run": [SMOKE],
        "stage": ["fit", SMOKE],
        "sweep": [SMOKE, "sample.seed=0,1", "--dry-run"],
        "plan": [SMOKE],
        "audit": ["--members", SMOKE, "--generated", tmp_path / "theirs"],
        "compare": [SMOKE, f"theirs={tmp_path}/theirs/*.safetensors"],
        "ls": [],
        "open": [],
        "diff": ["fit", "sample"],
        "show": ["pack"],
        "verify": ["fit"],
        "repair": ["sample"],
        "gc": [PROJECT / "conf"],
        "export": ["sample", tmp_path / "networks"],
        "symmetry": [SMOKE],
        "schema": [],
    }


WITHOUT_STORE = ("init", "symmetry", "schema")
OF_OTHERS = ("audit", "compare")
SAYS: dict[str, Any] = {
    "init": lambda d: d["smoke"].startswith("Every stage in seconds"),
    "run": lambda d: [s["reused"] for s in d["stages"]] == [True] * 7 and d["summary"]["rows"] and d["report"],
    "stage": lambda d: (d["stage"], d["reused"]) == ("fit", True),
    "sweep": lambda d: [p["stages"]["fit"]["reuse"] for p in d["points"]] == [True, True],
    "plan": lambda d: [s["stage"] for s in d["stages"]] == list(STAGES) and all(s["size"] for s in d["stages"]),
    "audit": lambda d: [s["stage"] for s in d["stages"]] == [stage for stage in STAGES if stage != "fit"],
    "compare": lambda d: [p["values"]["sample.generator"] for p in d["sweep"]["points"]] == ["flow", "theirs"],
    "ls": lambda d: [a["stage"] for a in d] == list(STAGES) and all(a["complete"] for a in d),
    "open": lambda d: d["report"].endswith("report.html"),
    "diff": lambda d: [s["stage"] for s in d["stages"]] == ["zoo", "canonicalize", "pack", "fit", "sample"],
    "show": lambda d: {a["name"] for s in d["stores"] for a in s["arrays"]} >= {"weights", "layout/tensor"},
    "verify": lambda d: d["sound"] is True,
    "repair": lambda d: (d["stage"], d["repaired"]) == ("sample", []),
    "gc": lambda d: d["removed"] == [] and d["sizes"],
    "export": lambda d: d["networks"] == 8,
    "symmetry": lambda d: d[0]["parameters"] == 67 and len(d[0]["groups"]) == 1,
    "schema": lambda d: "zoo" in d["properties"],
}


def call(dwf: Dwf, name: str, store: Path, tmp_path: Path, *flags: str) -> tuple[int, str, str]:
    if name in OF_OTHERS:  # which add to it
        store = Path(shutil.copytree(store, tmp_path / "store", dirs_exist_ok=True))
    further = [] if name in WITHOUT_STORE else ["--store", store]
    if name in OF_OTHERS:
        assert dwf("export", "sample", tmp_path / "theirs", "--store", store)[0] == 0
    return dwf(name, *arguments(tmp_path)[name], *further, *flags)


def test_every_command_is_tried():
    assert names() - {"up"} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_json_is_one_document(dwf: Dwf, finished: tuple[Path, Done], tmp_path: Path, name: str):
    code, out, _ = call(dwf, name, finished[0], tmp_path, "--json")
    assert code == 0
    assert SAYS[name](json.loads(out))


@pytest.mark.parametrize("name", [name for name in SAYS if name != "schema"])
def test_quiet_gives_paths_and_keys_alone(dwf: Dwf, finished: tuple[Path, Done], tmp_path: Path, name: str):
    code, out, err = call(dwf, name, finished[0], tmp_path, "-q")
    assert (code, err) == (0, "")
    loud = call(dwf, name, finished[0], tmp_path)[1]
    assert all(len(line.split()) <= 2 for line in out.splitlines())
    assert len(out) < len(loud) or name == "open"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["run", "nothing.yaml", "--json"], 2, "no such configuration"),
        (["--json", "run", SMOKE, "--bogus"], 2, "no such option: --bogus"),
        (["--json"], 2, "no command"),
        (["stage", "fit", SMOKE, "--only", "--json", "--store", "/nowhere"], 1, "needs zoo"),
        (["show", "fit", "--json", "--store", "/nowhere"], 1, "dwf stage fit"),
    ],
)
def test_failures_are_documents_too(dwf: Dwf, words: list[object], code: int, says: str):
    found, out, err = dwf(*words)
    assert (found, err) == (code, "")
    assert json.loads(out)["exit_code"] == code
    assert says in json.loads(out)["error"]


def test_flags_may_stand_before_the_command(dwf: Dwf, finished: tuple[Path, Done]):
    assert dwf("--json", "ls", "--store", finished[0])[1] == dwf("ls", "--json", "--store", finished[0])[1]
    assert dwf("-q", "ls", "--store", finished[0])[1] == dwf("ls", "-q", "--store", finished[0])[1]


def test_progress_is_no_part_of_the_document(dwf: Dwf, store: Path):
    code, out, err = dwf("stage", "pack", SMOKE, "--set", "zoo.seed=7", "--store", store, "--json")
    assert (code, json.loads(out)["reused"]) == (0, False)
    assert [line.split()[0] for line in err.splitlines() if " done " in line] == ["zoo", "canonicalize", "pack"]
    assert dwf("stage", "pack", SMOKE, "--set", "zoo.seed=8", "--store", store, "-q")[2] == ""


def test_what_is_unreadable_is_named(dwf: Dwf, store: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere/file")

    monkeypatch.setattr("pipeline.listing.listing", refused)
    code, _, err = dwf("ls", "--store", store)
    assert (code, err) == (1, "dwf: /somewhere/file: Permission denied (--debug shows where this happened)\n")


@pytest.mark.parametrize("words", [["plan", "conf"], ["run", "/dev/null"], ["ls", "--store", SMOKE], ["show", "conf"]])
def test_odd_paths_are_one_line(dwf: Dwf, words: list[object]):
    code, _, err = dwf(*words)
    assert code in (1, 2)
    assert err.startswith("dwf: ")
    assert len(err.splitlines()) == 1
    assert "unexpected" not in err


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_that_of_the_package(dwf: Dwf, flag: str):
    code, out, _ = dwf(flag)
    assert code == 0
    assert out.split()[0] == "dwf"
    assert f'version = "{out.split()[1]}"' in (PROJECT / "pyproject.toml").read_text()


def test_no_command_shows_them_all(dwf: Dwf):
    code, out, _ = dwf()
    assert code == 2
    assert all(f" {name} " in out for name in names())


@pytest.mark.parametrize(
    ("words", "offers"), [("dwf stage f", "fit"), ("dwf ver", "verify"), ("dwf run conf/sm", "conf/smoke.yaml")]
)
def test_a_shell_is_told_how_to_go_on(words: str, offers: str):
    asked = {"_DWF_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = "import sys; sys.argv[0] = 'dwf'; from pipeline.__main__ import run; sys.exit(run())"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, cwd=PROJECT, capture_output=True, text=True
    )
    assert ended.stdout.split() == [offers]


def test_help_loads_nothing_that_is_slow():
    heavy = "{'pydantic', 'yaml', 'torch', 'numpy', 'prefect', 'pipeline.config', 'stages.store.artifact'}"
    code = (
        "import sys; from pipeline.__main__ import run; sys.argv = ['dwf', '--help']; run()\n"
        f"print({heavy} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True).stdout
    assert out.splitlines()[-1] == "set()"


@pytest.mark.parametrize("redirection", [">&-", "| true"], ids=["closed", "no reader"])
def test_nobody_needs_to_listen(finished: tuple[Path, Done], redirection: str):
    line = f"{sys.executable} -m pipeline ls --store {finished[0]} {redirection}"
    ended = subprocess.run(line, shell=True, cwd=PROJECT, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_characters_that_an_encoding_lacks_are_no_failure(finished: tuple[Path, Done]):
    ended = subprocess.run(
        [*COMMAND, "run", str(SMOKE), "--store", str(finished[0])],
        capture_output=True,
        cwd=PROJECT,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "40"},
    )
    assert ended.returncode == 0
    assert b"held-out" in ended.stdout
    assert ended.stdout.isascii()


def test_in_a_terminal_every_stage_has_a_line(finished: tuple[Path, Done]):
    main, other = pty.openpty()
    started = subprocess.Popen(
        [*COMMAND, "run", str(SMOKE), "--store", str(finished[0])],
        stdin=other,
        stdout=other,
        stderr=other,
        cwd=PROJECT,
        env=os.environ | {"COLUMNS": "80", "TERM": "xterm"},
    )
    os.close(other)
    shown = b""
    while True:
        try:
            more = os.read(main, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not more:
            break
        shown += more
    os.close(main)
    assert started.wait() == 0
    for stage in STAGES:
        assert stage.encode() in shown
    assert "✓".encode() in shown
    assert b"dwf open" in shown
