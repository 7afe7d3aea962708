import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from strategies import ARTIFACT_ROWS, make_artifact

from stages.errors import DwfError, NotComplete
from stages.store import artifact as module
from stages.store.artifact import FOLDERS, artifact_path, building, find, note_latest, publish, read_latest, work_path
from stages.store.manifest import MANIFEST, read_manifest

CHUNK = "weights.zarr/weights/c/0/0"


def test_a_published_artifact_is_found(tmp_path):
    made = make_artifact(tmp_path)
    ref = find(tmp_path, "pack", "k1")
    assert ref is not None
    assert (ref.stage, ref.key, ref.digest) == ("pack", "k1", made.digest)
    assert ref.path == tmp_path / "3_packed" / "k1"
    assert read_manifest(ref.path) == made
    assert not work_path(tmp_path, "pack", "k1").exists()


def test_every_file_but_the_manifest_is_listed(tmp_path):
    made = make_artifact(tmp_path)
    path = artifact_path(tmp_path, "pack", "k1")
    present = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}
    assert set(made.files) == present - {MANIFEST}
    assert CHUNK in made.files


def test_other_keys_and_stages_are_not_found(tmp_path):
    make_artifact(tmp_path)
    assert find(tmp_path, "pack", "k2") is None
    assert find(tmp_path, "zoo", "k1") is None


@pytest.mark.parametrize("name", [CHUNK, "notes.json", "events/log", MANIFEST])
def test_an_artifact_with_a_deleted_file_is_not_found(tmp_path, name):
    make_artifact(tmp_path)
    (artifact_path(tmp_path, "pack", "k1") / name).unlink()
    assert find(tmp_path, "pack", "k1") is None


@pytest.mark.parametrize("name", [CHUNK, "notes.json"])
def test_an_artifact_with_a_truncated_file_is_not_found(tmp_path, name):
    make_artifact(tmp_path)
    file = artifact_path(tmp_path, "pack", "k1") / name
    os.truncate(file, file.stat().st_size - 1)
    assert find(tmp_path, "pack", "k1") is None


def test_a_half_written_folder_is_not_found(tmp_path, monkeypatch):
    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "flush", die)  # after everything but the manifest's own name is in place
    with pytest.raises(KeyboardInterrupt):
        make_artifact(tmp_path)
    assert work_path(tmp_path, "pack", "k1").exists()
    assert find(tmp_path, "pack", "k1") is None
    with pytest.raises(NotComplete, match=r"no finished artifact here \(no manifest.json\)"):
        read_manifest(work_path(tmp_path, "pack", "k1"))


def test_a_work_folder_that_was_moved_by_hand_is_not_found(tmp_path):
    make_artifact(tmp_path)
    done = artifact_path(tmp_path, "pack", "k1")
    (done / MANIFEST).unlink()
    assert done.exists()
    assert find(tmp_path, "pack", "k1") is None


def test_a_damaged_artifact_is_replaced_by_the_next_build(tmp_path):
    made = make_artifact(tmp_path)
    (artifact_path(tmp_path, "pack", "k1") / CHUNK).unlink()
    again = make_artifact(tmp_path)
    assert again.files == made.files
    assert find(tmp_path, "pack", "k1") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format_version": 99}', "\xff\xfe"])
def test_an_unreadable_manifest_is_an_error_that_names_it(tmp_path, text):
    make_artifact(tmp_path)
    path = artifact_path(tmp_path, "pack", "k1")
    (path / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(NotComplete, match="k1"):
        read_manifest(path)


def test_a_manifest_of_another_version_says_both(tmp_path):
    make_artifact(tmp_path)
    path = artifact_path(tmp_path, "pack", "k1")
    content = json.loads((path / MANIFEST).read_text()) | {"format_version": 99}
    (path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(NotComplete, match="found format version 99, expected 1"):
        read_manifest(path)


def test_what_killed_writers_left_is_not_published(tmp_path):
    work = work_path(tmp_path, "pack", "k1")
    (work / "weights.zarr.tmp-12ab" / "inner.tmp").mkdir(parents=True)
    (work / "weights.zarr.tmp-12ab" / "inner.tmp" / "file.tmp").write_text("x")
    (work / "notes.json.tmp").write_text("x")
    (work / "events").mkdir()
    (work / "events" / f"0.{'ab' * 16}.partial").write_text("x")
    clean = make_artifact(tmp_path / "elsewhere")
    assert make_artifact(tmp_path).files == clean.files


def test_the_digest_is_of_what_the_artifact_says(tmp_path):
    first = make_artifact(tmp_path / "a")
    assert make_artifact(tmp_path / "b", rows=ARTIFACT_ROWS + 1).digest != first.digest
    assert make_artifact(tmp_path / "c", notes="other").digest != first.digest


def test_clock_times_do_not_change_the_digest_but_are_listed(tmp_path):
    first = make_artifact(tmp_path / "a", volatile="Monday")
    second = make_artifact(tmp_path / "b", volatile="Tuesday")
    assert first.digest == second.digest
    assert first.files["events/log"] != second.files["events/log"]
    assert first.files["report.html"] != second.files["report.html"]


def test_everything_is_flushed_before_the_artifact_has_its_name(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "flush", lambda folder: seen.append((folder, artifact_path(tmp_path, "pack", "k1").exists()))
    )
    make_artifact(tmp_path)
    assert seen == [(work_path(tmp_path, "pack", "k1"), False)]


def test_a_second_builder_waits_for_the_first(tmp_path):
    order, told = [], threading.Event()

    def second():
        with building(tmp_path, "pack", "k1", told.set):
            order.append("second")

    with building(tmp_path, "pack", "k1") as work:
        assert work == work_path(tmp_path, "pack", "k1")
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(10)
        time.sleep(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_builders_of_other_keys_do_not_wait(tmp_path):
    waited = []

    def waiting():
        waited.append(True)
        raise AssertionError("waited for another artifact")

    with (
        building(tmp_path, "pack", "k1"),
        building(tmp_path, "pack", "k2", waiting),
        building(tmp_path, "fit", "k1", waiting),
    ):
        assert not waited


def test_a_failed_build_releases_its_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), building(tmp_path, "pack", "k1"):
        raise ZeroDivisionError
    with building(tmp_path, "pack", "k1", lambda: pytest.fail("still locked")):
        pass


HOLD = """
import sys, time
from pathlib import Path
from stages.store.artifact import building
with building(Path(sys.argv[1]), "pack", "k1") as work:
    work.mkdir()
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_dies_with_its_process(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    waited = threading.Event()

    def kill_once_waited_for():
        waited.set()
        holder.kill()  # SIGKILL: nothing in the holder can clean up

    try:
        assert holder.stdout.readline() == "held\n"
        with building(tmp_path, "pack", "k1", kill_once_waited_for) as work:
            assert waited.is_set(), "the lock wasn't held"
            assert work.exists(), "what the killed process had built is gone"
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


@pytest.mark.parametrize("root", ["file", "file/below"])
def test_a_root_that_cannot_be_written_is_explained(tmp_path, root):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DwfError, match=r"can't write here .* --store"), building(tmp_path / root, "pack", "k1"):
        pass
    assert find(tmp_path / root, "pack", "k1") is None


def test_an_error_inside_the_block_is_not_taken_for_a_locking_error(tmp_path):
    with pytest.raises(OSError, match="disk full") as caught, building(tmp_path, "pack", "k1"):
        raise OSError(28, "disk full")
    assert not isinstance(caught.value, DwfError)


def test_latest_keeps_one_line_per_experiment_newest_last(tmp_path):
    (tmp_path / FOLDERS["pack"]).mkdir()
    assert read_latest(tmp_path, "pack") == []
    for experiment, key in [("iris", "k1"), ("mnist", "k2"), ("iris", "k3")]:
        note_latest(tmp_path, "pack", experiment, key)
    assert [line[1:] for line in read_latest(tmp_path, "pack")] == [("mnist", "k2"), ("iris", "k3")]


def test_publish_leaves_a_reader_nothing_half_done(tmp_path, monkeypatch):
    """A crash between the manifest and the rename leaves a work folder that the next publish finishes."""
    rename = os.rename

    def die_on_the_folder(source, target):
        if Path(source).is_dir():
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", die_on_the_folder)
    with pytest.raises(KeyboardInterrupt):
        make_artifact(tmp_path)
    assert find(tmp_path, "pack", "k1") is None
    monkeypatch.undo()
    work = work_path(tmp_path, "pack", "k1")
    facts = read_manifest(work).model_dump(exclude={"files", "digest", "seal"})
    again = publish(work, artifact_path(tmp_path, "pack", "k1"), facts)
    shutil.rmtree(artifact_path(tmp_path, "pack", "k1"))
    assert make_artifact(tmp_path).files == again.files
