"""Garbage collection: what goes, what stays, and what others at work notice of it."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from smoke import SMOKE, Done, Dwf, run_smoke
from tiny_artifacts import make_tiny

from pipeline.config import load
from pipeline.dag import STAGES
from pipeline.gc import removal
from pipeline.gc.garbage import Garbage, collect
from pipeline.gc.removal import remove
from pipeline.run_records import RUNS, RecordedRun, RunRecord, recorded, records, write
from pipeline.runner import Runner
from stages.locks import LOCKS, acquired, drop, lock
from stages.store.artifact import FOLDERS, artifact_path, building, find, work_path
from stages.store.verify import verify


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A folder with the smoke configuration alone."""
    (tmp_path / "conf").mkdir()
    shutil.copy(SMOKE, tmp_path / "conf")
    return tmp_path / "conf"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder without configurations."""
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def names(garbage: Garbage) -> list[str]:
    return [leftover.path.name for leftover in garbage.leftovers]


def record(root: Path, day: int, **keys: str) -> None:
    """One that is older than every test's."""
    write(root, RunRecord(used=f"2020-01-{day:02}T00:00:00Z", runs=(RecordedRun(values={"day": day}, keys=keys),)))


def test_what_a_configuration_reaches_stays(store: Path, conf: Path):
    assert collect(store, [conf], 0).leftovers == []


def test_what_a_recent_run_reaches_stays_and_then_goes(store: Path, empty: Path):
    assert collect(store, [empty], 1).leftovers == []
    garbage = collect(store, [empty], 0)
    assert [leftover.stage for leftover in garbage.leftovers] == list(STAGES)
    assert sum(leftover.size for leftover in garbage.leftovers) == sum(garbage.sizes.values()) > 0
    assert remove(store, garbage, 0) == garbage.leftovers
    assert not any(path.is_dir() for folder in FOLDERS.values() for path in (store / folder).glob("*"))
    assert records(store) == []


def test_an_edited_configuration_leaves_what_it_doesn_t_share(store: Path, conf: Path):
    text = (conf / "smoke.yaml").read_text().replace("steps: 60", "steps: 40")
    (conf / "smoke.yaml").write_text(text)
    garbage = collect(store, [conf], 0)
    assert [leftover.stage for leftover in garbage.leftovers] == ["fit", "sample", "evaluate", "report"]
    remove(store, garbage, 0)
    made = run_smoke(store, "fit.steps=40", last="fit")
    assert {stage for stage, (_, reused) in made.items() if reused} == {"zoo", "canonicalize", "pack"}


def test_what_a_kept_artifact_was_made_from_stays(store: Path, finished: tuple[Path, Done], empty: Path):
    shutil.rmtree(store / RUNS)
    record(store, 1, evaluate=finished[1]["evaluate"][0].key)
    assert [leftover.stage for leftover in collect(store, [empty], 1).leftovers] == ["report"]


def test_the_last_runs_are_counted_from_the_newest(tmp_path: Path, empty: Path):
    for day in (1, 2, 3):
        make_tiny(tmp_path, "pack", f"{day:016}")
        record(tmp_path, day, pack=f"{day:016}")
    garbage = collect(tmp_path, [empty], 2)
    assert names(garbage) == [f"{1:016}"]
    remove(tmp_path, garbage, 2)
    assert [entry.used[:10] for entry in records(tmp_path)] == ["2020-01-03", "2020-01-02"]


def test_a_running_run_keeps_its_artifacts_however_old_its_record(tmp_path: Path, empty: Path):
    make_tiny(tmp_path, "pack", "a" * 16)
    with recorded(tmp_path, [RecordedRun(values={}, keys={"pack": "a" * 16})]):
        garbage = collect(tmp_path, [empty], 0)
        assert garbage.leftovers == []
        remove(tmp_path, garbage, 0)
        assert len(records(tmp_path)) == 1
    assert names(collect(tmp_path, [empty], 0)) == ["a" * 16]


def test_a_run_that_begins_after_the_listing_keeps_what_it_finds(tmp_path: Path, empty: Path):
    make_tiny(tmp_path, "pack", "a" * 16)
    make_tiny(tmp_path, "pack", "b" * 16)
    garbage = collect(tmp_path, [empty], 0)
    with recorded(tmp_path, [RecordedRun(values={}, keys={"pack": "a" * 16})]):
        assert find(tmp_path, "pack", "a" * 16)
        assert [leftover.key for leftover in remove(tmp_path, garbage, 0)] == ["b" * 16]
        assert find(tmp_path, "pack", "a" * 16)


def test_no_run_begins_while_it_is_decided_what_goes(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch):
    make_tiny(tmp_path, "pack", "a" * 16)
    seen: list[object] = []

    def run() -> None:
        with recorded(tmp_path, [RecordedRun(values={}, keys={"pack": "a" * 16})]):
            seen.append(find(tmp_path, "pack", "a" * 16))

    thread, out_of_sight = threading.Thread(target=run), removal._out_of_sight

    def with_a_run_beginning(path: Path) -> Path:
        thread.start()
        thread.join(0.2)
        assert seen == [], "the run found what is about to go"
        return out_of_sight(path)

    monkeypatch.setattr(removal, "_out_of_sight", with_a_run_beginning)
    remove(tmp_path, collect(tmp_path, [empty], 0), 0)
    thread.join(10)
    assert seen == [None]


@pytest.mark.parametrize("names", [("pack", "a" * 16), ("pack", "a" * 16, "3")])
def test_what_a_process_holds_stays(tmp_path: Path, empty: Path, names: tuple[str, ...]):
    make_tiny(tmp_path, "pack", "a" * 16)
    work_path(tmp_path, "pack", "a" * 16).mkdir()
    garbage = collect(tmp_path, [empty], 0)
    with lock(tmp_path, *names):
        assert remove(tmp_path, garbage, 0) == []
    assert len(remove(tmp_path, garbage, 0)) == 2


def test_half_done_work_stays_where_a_run_would_go_on_with_it(store: Path, conf: Path, empty: Path):
    fit = Runner(load(SMOKE, (), store)).steps()["fit"].key
    artifact_path(store, "fit", fit).rename(work_path(store, "fit", fit))
    assert names(collect(store, [conf], 0)) == []
    assert f"{fit}.partial" in names(collect(store, [empty], 0))
    run_smoke(store, last="fit")
    work_path(store, "fit", fit).mkdir()
    assert names(collect(store, [conf], 0)) == [f"{fit}.partial"], "nobody goes on with what is finished"


def test_what_killed_processes_left_goes(store: Path, conf: Path):
    left = ["1_zoo/latest.tmp", ".hashes.json.tmp", f"{RUNS}/x.json.tmp", f"4_fitted/{'a' * 16}.b1.trash"]
    for name in left[:3]:
        (store / name).write_text("x")
    (store / left[3] / "deep").mkdir(parents=True)
    (store / "6_report" / "0123abcd").mkdir(parents=True)
    (store / "6_report" / "0123abcd" / "manifest.json").write_text("{}")
    garbage = collect(store, [conf], 1)
    assert {str(leftover.path.relative_to(store)) for leftover in garbage.leftovers} == {*left, "6_report/0123abcd"}
    assert len(remove(store, garbage, 1)) == 5
    assert collect(store, [conf], 1).leftovers == []


def test_locks_go_unless_they_are_held_and_so_do_those_of_release_0_1(store: Path, conf: Path):
    (store / "1_zoo" / "abc.lock").write_text("")
    with lock(store, "fit", "abc"):
        remove(store, collect(store, [conf], 1), 1)
        assert [file.name for file in sorted((store / LOCKS).iterdir())] == ["fit.abc.lock", "gc.lock"]
    assert not (store / "1_zoo" / "abc.lock").exists()


def test_a_deletion_that_is_cut_short_leaves_nothing_that_counts(
    store: Path, finished: tuple[Path, Done], empty: Path, monkeypatch: pytest.MonkeyPatch
):
    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(removal, "_delete", killed)
    with pytest.raises(KeyboardInterrupt):
        remove(store, collect(store, [empty], 0), 0)
    monkeypatch.undo()
    assert not any(step.ref for step in Runner(load(SMOKE, (), store)).plan())
    again = run_smoke(store, last="zoo")
    assert again["zoo"][0].digest == finished[1]["zoo"][0].digest
    garbage = collect(store, [empty], 1)
    assert {path.rpartition(".")[2] for path in names(garbage)} == {"trash"}
    remove(store, garbage, 1)
    assert not list(store.rglob("*.trash"))
    assert all(verify(ref.path)[1] == [] for ref, _ in again.values())


def test_an_artifact_that_lies_elsewhere_loses_its_link_alone(tmp_path: Path, empty: Path):
    make_tiny(tmp_path, "pack", "a" * 16)
    path = artifact_path(tmp_path, "pack", "a" * 16)
    (tmp_path / "elsewhere").symlink_to(path.rename(tmp_path / "big_disk"))
    (tmp_path / "elsewhere").rename(path)
    remove(tmp_path, collect(tmp_path, [empty], 0), 0)
    assert not path.is_symlink()
    assert find(tmp_path, "pack", "a" * 16) is None
    assert (tmp_path / "big_disk" / "manifest.json").exists()


def test_a_sweep_s_page_stays_as_long_as_one_of_its_points(tmp_path: Path, empty: Path):
    make_tiny(tmp_path, "evaluate", "a" * 16)
    make_tiny(tmp_path, "sweep", "c" * 16, {"point 0": "a" * 16, "point 1": "b" * 16})
    record(tmp_path, 1, evaluate="a" * 16)
    assert names(collect(tmp_path, [empty], 1)) == []
    assert names(collect(tmp_path, [empty], 0)) == ["a" * 16, "c" * 16]


WAIT = """
import sys
from pathlib import Path
from stages.locks import lock
mine = lock(Path(sys.argv[1]), "pack", "k1")
print("waiting", flush=True)
with mine:
    print("acquired", flush=True)
    sys.stdin.read()
"""


def test_a_lock_whose_file_was_deleted_while_somebody_waited_is_one_lock_still(tmp_path: Path):
    mine = lock(tmp_path, "pack", "k1")
    mine.acquire()
    with subprocess.Popen(
        [sys.executable, "-c", WAIT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "waiting\n"
        drop(mine)
        assert waiting.stdout.readline() == "acquired\n"
        assert acquired(tmp_path / LOCKS / "pack.k1.lock") is None, "two hold it"
        waiting.communicate("")


def test_a_builder_that_waited_for_a_deleted_lock_keeps_others_out(tmp_path: Path):
    """The file goes after the waiting one has opened it and before it has the lock."""
    file = Path(lock(tmp_path, "pack", "k1").lock_file)
    first = FileLock(file)
    first.acquire()
    begun, order = threading.Event(), []

    def second() -> None:
        with building(tmp_path, "pack", "k1", begun.set):
            order.append(acquired(file) is None)

    thread = threading.Thread(target=second)
    thread.start()
    assert begun.wait(10)
    drop(first)
    thread.join(10)
    assert order == [True]


def test_the_command_lists_first_and_removes_with_yes(dwf: Dwf, store: Path, conf: Path, empty: Path):
    code, out, _ = dwf("gc", conf, "--store", store)
    assert (code, out.startswith("nothing can go of ")) == (0, True)
    code, out, _ = dwf("gc", empty, "--keep-runs", 0, "--store", store)
    assert code == 0
    assert [row.split()[0] for row in out.splitlines() if row.startswith(STAGES)] == list(STAGES)
    assert out.splitlines()[-1].endswith("--yes removes it")
    assert find(store, "fit", Runner(load(SMOKE, (), store)).steps()["fit"].key)
    paths = dwf("gc", empty, "--keep-runs", 0, "-q", "--store", store)[1].split()
    code, out, _ = dwf("gc", empty, "--keep-runs", 0, "--yes", "--json", "--store", store)
    document = json.loads(out)
    assert (code, document["removed"]) == (0, paths)
    assert document["freed"] == sum(document["sizes"].values()) > 0
    assert not any(Path(path).exists() for path in paths)


def test_a_configuration_that_is_not_readable_stops_the_removal(dwf: Dwf, store: Path, conf: Path):
    (conf / "broken.yaml").write_text("zoo: {dataset: irs}\n")
    (conf / "compose.yaml").write_text("services: {web: {image: x}}\n")
    (conf / "list.yaml").write_text("- 1\n")
    code, out, err = dwf("gc", conf, "--keep-runs", 0, "--store", store)
    assert (code, "not readable: " in out, "broken.yaml" in out, "compose" in out, "list" in out) == (
        0,
        True,
        True,
        False,
        False,
    )
    code, _, err = dwf("gc", conf, "--yes", "--store", store)
    assert code == 1
    assert err.count("\n") == 1
    assert "broken.yaml" in err
    assert "--skip-unreadable" in err
    assert dwf("gc", conf, "--yes", "--skip-unreadable", "--store", store)[0] == 0
    assert dwf("gc", conf / "nowhere", "--store", store)[0] == 2


def test_a_configuration_whose_files_are_gone_keeps_what_it_made(store: Path, conf: Path):
    lines = "\nname: smoke\nzoo: {source: checkpoints, files: 'gone/*.pt', model: 'timm:x', input: [3], heldout: 2}\n"
    text = (conf / "smoke.yaml").read_text()
    (conf / "smoke.yaml").write_text(lines + text[text.index("fit:") :])
    garbage = collect(store, [conf], 0)
    assert (garbage.unreadable, garbage.leftovers) == ({}, [])


def test_an_empty_store_has_no_garbage(dwf: Dwf, tmp_path: Path, empty: Path):
    assert dwf("gc", empty, "--yes", "--store", tmp_path / "nowhere")[0] == 0
