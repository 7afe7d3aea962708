"""`dwf ls`, `open` and `diff` as people see them; the names that all commands take."""

import json
import webbrowser
from pathlib import Path

import pytest
from smoke import SMOKE, Done, Dwf

from pipeline.dag import STAGES


def test_ls_groups_by_experiment(dwf: Dwf, finished: tuple[Path, Done]):
    code, out, _ = dwf("ls", "--store", finished[0])
    first, *rows, total = out.splitlines()
    assert code == 0
    assert first.startswith("smoke  ")
    assert [row.split()[:2] for row in rows] == [[stage, finished[1][stage][0].key] for stage in STAGES]
    assert all(row.endswith("latest") for row in rows)
    assert [part.split()[-3] for part in total.split(", ")] == list(STAGES)


def test_show_says_what_an_artifact_takes_on_disk(dwf: Dwf, finished: tuple[Path, Done]):
    path = finished[1]["pack"][0].path
    sizes = {file.relative_to(path): file.stat().st_size for file in path.rglob("*") if file.is_file()}
    contents = json.loads(dwf("show", "pack", "--json", "--store", finished[0])[1])
    (store,) = contents["stores"]
    assert f"size      {sum(sizes.values()):,} bytes" in dwf("show", "pack", "--store", finished[0])[1].splitlines()
    assert store["size"] + sum(contents["files"].values()) == sum(sizes.values())
    for array in store["arrays"]:
        folder = Path("weights.zarr") / array["name"]
        assert array["stored"] == sum(size for file, size in sizes.items() if folder in file.parents)


def test_ls_shows_some_stages_or_one_experiment(dwf: Dwf, finished: tuple[Path, Done]):
    out = dwf("ls", "fit", "sample", "-e", "smoke", "-q", "--store", finished[0])[1]
    assert out.split() == [finished[1][stage][0].key for stage in ("fit", "sample")]
    code, _, err = dwf("ls", "-e", "smok", "--store", finished[0])
    assert (code, "did you mean 'smoke'" in err) == (2, True)
    assert "did you mean 'fit'" in dwf("ls", "fitt", "--store", finished[0])[2]


def test_ls_of_nothing_says_so(dwf: Dwf, tmp_path: Path):
    assert dwf("ls", "--store", tmp_path)[:2] == (0, f"no artifacts below {tmp_path}\n")


@pytest.mark.parametrize("name", ["fit", "smoke:fit", "KEY", "PATH"])
@pytest.mark.parametrize("command", ["show", "verify"])
def test_an_artifact_has_many_names(dwf: Dwf, finished: tuple[Path, Done], command: str, name: str):
    ref = finished[1]["fit"][0]
    name = {"KEY": ref.key[:8], "PATH": str(ref.path)}.get(name, name)
    code, out, _ = dwf(command, name, "--store", finished[0])
    assert code == 0
    assert out.startswith(f"fit {ref.key}")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a browser was asked for."""
    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(asked.append(address)) or True)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    return asked


@pytest.mark.parametrize("name", [None, "latest", "smoke", "sample", "report"])
def test_the_report_of_anything_is_opened(
    dwf: Dwf, finished: tuple[Path, Done], opened: list[str], monkeypatch: pytest.MonkeyPatch, name: str | None
):
    page = finished[1]["report"][0].path / "report.html"
    words = ["open", *([name] if name else []), "--store", finished[0]]
    assert dwf(*words)[:2] == (0, f"{page}\n"), "where nothing can be shown, its path"
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert "is open" in dwf(*words)[1]
    assert opened == [page.as_uri()]
    assert dwf(*words, "--print")[1] == f"{page}\n"
    assert len(opened) == 1


def test_what_has_no_report_says_how_to_get_one(dwf: Dwf, store: Path, finished: tuple[Path, Done]):
    (store / "7_report" / finished[1]["report"][0].key / "summary.json").unlink()
    (store / "7_report" / finished[1]["report"][0].key / "report.html").unlink()
    code, _, err = dwf("open", "sample", "--store", store)
    assert code == 1
    assert "there is no report of this" in err


def test_diff_names_what_differs(dwf: Dwf, finished: tuple[Path, Done], tmp_path: Path):
    (tmp_path / "own.yaml").write_text(SMOKE.read_text().replace("steps: 60", "steps: 61"))
    code, out, _ = dwf("diff", "smoke", tmp_path / "own.yaml", "--store", finished[0])
    rows = {line.split()[0]: line for line in out.splitlines() if line.split()}
    assert code == 0
    assert rows["zoo"].split()[-1] == "same"
    assert rows["fit"].rstrip().endswith("steps 60 -> 61")
    assert rows["sample"].rstrip().endswith("only what is upstream")


def test_diff_of_one_thing_is_all_the_same(dwf: Dwf, finished: tuple[Path, Done]):
    out = dwf("diff", "smoke", SMOKE, "--store", finished[0])[1]
    assert sum(line.rstrip().endswith("same") for line in out.splitlines()) == len(STAGES)
    assert "→" not in out
    assert "held-out" in out, "the figures stand below"
    assert dwf("diff", "smoke", SMOKE, "--store", finished[0], "-q")[1] == ""
