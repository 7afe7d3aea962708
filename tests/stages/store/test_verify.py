import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import make_artifact

from stages.errors import Damaged, NotComplete
from stages.store.artifact import artifact_path
from stages.store.manifest import MANIFEST
from stages.store.verify import require_sound, verify

CHUNK, OTHER = "weights.zarr/weights/c/0/0", "weights.zarr/weights/c/1/0"


@pytest.fixture
def sound(tmp_path):
    make_artifact(tmp_path)
    return artifact_path(tmp_path, "pack", "k1")


def problems(path):
    _, found = verify(path)
    return "\n".join(found)


def flip(file, position=9, bit=4):
    content = bytearray(file.read_bytes())
    content[position] ^= bit
    file.write_bytes(content)


def test_a_sound_artifact_has_no_problems(sound):
    manifest, found = verify(sound)
    assert found == []
    assert manifest.key == "k1"
    assert require_sound(sound) == manifest


def test_a_flipped_bit_is_named(sound):
    flip(sound / CHUNK)
    assert f"{CHUNK}: changed, sha256" in problems(sound)
    with pytest.raises(Damaged, match=CHUNK):
        require_sound(sound)


def test_a_truncated_file_is_named_with_both_sizes(sound):
    size = (sound / CHUNK).stat().st_size
    os.truncate(sound / CHUNK, 5)
    assert f"{CHUNK}: truncated or grown, 5 bytes, expected {size}" in problems(sound)


def test_a_grown_file_is_named(sound):
    with (sound / "notes.json").open("a") as file:
        file.write(" ")
    assert "notes.json: truncated or grown" in problems(sound)


def test_a_missing_file_is_named(sound):
    (sound / CHUNK).unlink()
    assert f"{CHUNK}: missing" in problems(sound)


def test_two_swapped_chunks_are_both_named_with_their_owners(sound):
    (sound / CHUNK).rename(sound / "aside")
    (sound / OTHER).rename(sound / CHUNK)
    (sound / "aside").rename(sound / OTHER)
    found = problems(sound)
    assert f"{CHUNK}: swapped, holds the bytes of {OTHER}" in found
    assert f"{OTHER}: swapped, holds the bytes of {CHUNK}" in found


def test_an_extra_file_is_named(sound):
    (sound / "weights.zarr" / "weights" / "c" / "9").write_text("x")
    assert "weights.zarr/weights/c/9: not in the manifest" in problems(sound)


@pytest.mark.parametrize("name", ["events/log", "report.html"])
def test_files_with_clock_times_are_verified_too(sound, name):
    flip(sound / name, 0)
    assert f"{name}: changed" in problems(sound)


def test_no_artifact_is_an_error(tmp_path):
    with pytest.raises(NotComplete, match="no finished artifact"):
        verify(tmp_path)


def test_metadata_that_lost_its_digest_is_named(sound):
    file = sound / "weights.zarr" / "zarr.json"
    flip(file, file.read_bytes().index(b"content_digest"), 1)
    assert "weights.zarr/zarr.json: changed" in problems(sound)


@settings(max_examples=50)
@given(data=st.data())
def test_any_flipped_bit_in_any_file_is_named(data, shared):
    name = data.draw(st.sampled_from(sorted(shared.files)))
    file = shared.path / name
    before = file.read_bytes()
    position = data.draw(st.integers(0, len(before) - 1))
    flip(file, position, 1 << data.draw(st.integers(0, 7)))
    try:
        assert f"{name}: changed" in problems(shared.path)
    finally:
        file.write_bytes(before)


@settings(max_examples=100)
@given(data=st.data())
def test_any_flipped_bit_in_the_manifest_is_named(data, shared):
    file = shared.path / MANIFEST
    before = file.read_bytes()
    position = data.draw(st.integers(0, len(before) - 1))
    flip(file, position, 1 << data.draw(st.integers(0, 7)))
    try:
        with pytest.raises(NotComplete, match="k1"):
            verify(shared.path)
    finally:
        file.write_bytes(before)


def test_an_edited_manifest_is_not_trusted(sound):
    text = (sound / MANIFEST).read_text()
    assert '"threads": 1' in text
    (sound / MANIFEST).write_text(text.replace('"threads": 1', '"threads": 2'))
    with pytest.raises(NotComplete, match="changed since it was written"):
        verify(sound)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    manifest = make_artifact(root)

    class Shared:
        path = artifact_path(root, "pack", "k1")
        files = manifest.files

    assert MANIFEST not in manifest.files
    return Shared
