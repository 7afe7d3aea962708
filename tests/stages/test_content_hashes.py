"""Hashes of files: read once, remembered between runs, never trusted for a file that was written again."""

import json
import os
import threading
from pathlib import Path

import pytest

from stages import content_hashes
from stages.content_hashes import MEMORY, file_hash, folder_hash, last_seen, remembered_in
from stages.errors import Damaged

OLD = 10**18


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_hashes, "WORTH_KEEPING", 1)


def written(path: Path, text: bytes, time: int = OLD) -> Path:
    path.write_bytes(text)
    os.utime(path, ns=(time, time))
    return path


def next_run() -> None:
    """Forget what only this process knows."""
    content_hashes._hash.cache_clear()


def remembered(memory: Path, file: Path) -> str:
    next_run()
    with remembered_in(memory):
        return file_hash(file)


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path: Path):
    file, memory = written(tmp_path / "a", b"one"), tmp_path / "store" / MEMORY
    first = remembered(memory, file)
    inode = file.stat().st_ino
    with file.open("r+b") as same_inode:
        same_inode.write(b"two")
    os.utime(file, ns=(OLD, OLD))
    assert file.stat().st_ino == inode
    assert remembered(memory, file) == first  # not read: nothing tells that it changed
    written(file, b"two", OLD + 1)
    assert remembered(memory, file) != first


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"%s": [3, 1]}', b'{"%s": [3, 1000000000000000000, 1, 7]}'])
def test_a_damaged_memory_is_ignored_and_replaced(tmp_path: Path, text: bytes):
    file, memory = written(tmp_path / "a", b"one"), tmp_path / MEMORY
    memory.write_bytes(text.replace(b"%s", str(file).encode()))
    next_run()
    assert remembered(memory, file) == file_hash(file)
    assert list(json.loads(memory.read_text())) == [str(file)]


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"one")
    remembered(tmp_path / MEMORY, tmp_path / "a")
    assert not (tmp_path / MEMORY).exists()


def test_little_is_not_worth_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(content_hashes, "WORTH_KEEPING", 4)
    remembered(tmp_path / MEMORY, written(tmp_path / "a", b"one"))
    assert not (tmp_path / MEMORY).exists()


def test_runs_side_by_side_lose_nothing_of_each_other(tmp_path: Path):
    files = [written(tmp_path / f"f{i}", bytes([i])) for i in range(12)]

    def run(file: Path) -> None:
        with remembered_in(tmp_path / MEMORY):
            file_hash(file)

    next_run()
    threads = [threading.Thread(target=run, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(json.loads((tmp_path / MEMORY).read_text())) == set(map(str, files))


def test_a_memory_that_cannot_be_written_is_left_alone(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert len(remembered(tmp_path / "file" / MEMORY, written(tmp_path / "a", b"one"))) == 16


def test_content_is_found_where_it_was_seen_last(tmp_path: Path):
    first = written(tmp_path / "a", b"same")
    digest = file_hash(first)
    assert last_seen(digest) == first
    second = written(tmp_path / "b", b"same")
    assert file_hash(second) == digest
    assert last_seen(digest) == second
    assert last_seen(folder_hash(tmp_path, [first, second])) == tmp_path


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(Damaged, match="nowhere: not readable"):
        file_hash(tmp_path / "nowhere")
