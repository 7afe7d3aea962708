import json
import os
from pathlib import Path

import pytest

from stages.checkpoint_paths import content_of, files_of, is_named, matching, names, size_of
from stages.errors import Damaged, UsageError


def files(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def test_files_come_in_natural_order(tmp_path):
    files(tmp_path, "run10.pt", "run2.pt", "run1.pt", "b/run1.pt", "run2b.pt", "notes.txt", ".hidden.pt")
    found = matching(str(tmp_path / "*.pt"))
    assert [path.name for path in found] == ["run1.pt", "run2.pt", "run2b.pt", "run10.pt"]
    every = matching(str(tmp_path / "**" / "*.pt"))
    assert names(str(tmp_path / "**" / "*.pt"), every) == ["b/run1.pt", "run1.pt", "run2.pt", "run2b.pt", "run10.pt"]


def test_names_are_relative_to_the_pattern_s_fixed_folder(tmp_path):
    files(tmp_path, "a1/model.pt", "a2/model.pt")
    pattern = str(tmp_path / "a*" / "model.pt")
    assert names(pattern, matching(pattern)) == ["a1/model.pt", "a2/model.pt"]
    single = str(tmp_path / "a1" / "model.pt")
    assert names(single, matching(single)) == ["model.pt"]


def test_a_pattern_without_files_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"runs/\\*.pt: no such files \\(looked for {tmp_path}/runs/\\*.pt\\)"):
        matching("runs/*.pt")


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    files(tmp_path, "run1.pt")
    assert matching("~/*.pt") == [tmp_path / "run1.pt"]


def test_content_is_read_again_only_when_size_or_time_changed(tmp_path):
    files(tmp_path, "1.pt")
    path, facts = tmp_path / "1.pt", (tmp_path / "1.pt").stat()
    before = content_of(path)
    path.write_text("2.pt")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert content_of(path) == before
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert content_of(path) != before


FOLDERS = ["lr=0.1,wd=[1e-4]", "a*b", "what?", "[!x]", "wd=[1e-4]/lr=[0.1]"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_that_exists_as_it_is_written_is_taken_literally(tmp_path, folder):
    files(tmp_path, f"{folder}/m1.pt", f"{folder}/m2.pt", "wd=1/lr=0/m1.pt", "l/m1.pt")
    found = matching(str(tmp_path / folder / "*.pt"))
    assert found == [tmp_path / folder / "m1.pt", tmp_path / folder / "m2.pt"]
    assert names(str(tmp_path / folder / "*.pt"), found) == ["m1.pt", "m2.pt"]


def test_so_is_one_behind_a_wildcard_and_other_brackets_are_a_choice(tmp_path):
    files(tmp_path, "run1/wd=[1e-4]/m.pt", "run2/wd=[1e-4]/m.pt", "run3/wd=1/m.pt")
    pattern = str(tmp_path / "run*" / "wd=[1e-4]" / "*.pt")
    assert names(pattern, matching(pattern)) == ["run1/wd=[1e-4]/m.pt", "run2/wd=[1e-4]/m.pt", "run3/wd=1/m.pt"]
    chosen = matching(str(tmp_path / "run[12]" / "**" / "*.pt"))
    assert [path.relative_to(tmp_path).parts[0] for path in chosen] == ["run1", "run2"]


def sharded(folder: Path, name: str = "model.safetensors") -> Path:
    stem, ending = name.split(".")
    shards = [f"{stem}-0000{i}-of-00002.{ending}" for i in (1, 2)]
    files(folder, *shards)
    index = folder / f"{name}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"a": shards[0], "b": shards[1], "c": shards[0]}}))
    return index


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("model.safetensors", "*/*.safetensors"),
        ("model.safetensors", "*/model.safetensors.index.json"),
        ("model.safetensors", "*/*"),
        ("pytorch_model.bin", "*/*.bin"),
        ("pytorch_model.bin", "*/*.index.json"),
    ],
)
def test_the_shards_of_a_checkpoint_count_once_by_their_index(tmp_path, name, pattern):
    indices = [sharded(tmp_path / f"net{i}", name) for i in range(3)]
    found = matching(str(tmp_path / pattern))
    assert found == indices
    assert files_of(found[0]) == [indices[0], *sorted(tmp_path.glob("net0/*-of-*"))]
    assert size_of(found[0]) == sum(path.stat().st_size for path in (tmp_path / "net0").iterdir())


def test_the_hash_of_an_index_covers_its_shards(tmp_path):
    index = sharded(tmp_path)
    before = content_of(index)
    (tmp_path / "model-00002-of-00002.safetensors").write_text("changed")
    assert content_of(index) != before
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(Damaged, match=r"model-00002-of-00002.safetensors: not readable \(No such file"):
        content_of(index)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}'])
def test_what_is_no_index_is_named(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(Damaged, match=r"model.safetensors.index.json: not an index of shards"):
        content_of(tmp_path / "model.safetensors.index.json")


def test_an_index_never_leads_out_of_its_folder(tmp_path):
    (tmp_path / "a.index.json").write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(UsageError, match=r"lists '../secret.safetensors', expected names of files beside it"):
        files_of(tmp_path / "a.index.json")


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a/last.ckpt", "last.ckpt", True),
        ("a/last.ckpt", "*last*", True),
        ("a/last.ckpt", "b/*", False),
        ("wd=[1]/m.pt", "wd=[1]/m.pt", True),
        ("zoo.pt:0003", "zoo.pt:000[34]", True),
        ("zoo.pt:0005", "zoo.pt:000[34]", False),
    ],
)
def test_a_pattern_means_a_name_or_its_last_part(name, pattern, expected):
    assert is_named(name, [pattern]) is expected
