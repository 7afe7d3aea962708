"""Whatever a configuration holds, reading it ends soon, in little memory, and with a few lines if it is refused."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_configurations import BOMBS, SHIPPED, assert_readable, mutated, overrides, within_bounds
from smoke import SMOKE, Dwf

from pipeline.config import load
from pipeline.sweep.spec import parse_axis
from stages.errors import UsageError

PATIENCE = 30.0
"""Seconds of processor time after which reading counts as hanging, on a machine that may be busy."""


def read(path: Path, *sets: str) -> bool:
    """Whether a configuration is accepted; anything but that or a readable refusal fails the test."""
    try:
        load(path, sets)
    except UsageError as error:
        assert_readable(str(error))
        return False
    return True


@pytest.fixture(autouse=True)
def quiet(recwarn: pytest.WarningsRecorder) -> None:
    """Keys by their earlier names warn, and are no concern of these tests."""


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_within_the_bounds(tmp_path: Path, kind: str):
    (tmp_path / "bomb.yaml").write_bytes(BOMBS[kind])
    with within_bounds(PATIENCE):
        accepted = read(tmp_path / "bomb.yaml")
    assert accepted == (kind in ("UTF-16", "a mark of byte order"))


def test_files_that_are_none_are_refused_at_once(tmp_path: Path):
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "dangling.yaml").symlink_to("nowhere")
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    names = ("folder", "pipe", "loop", "dangling", "device", "x" * 300, "nul\0", "~no.body/x", "x/" * 3000)
    for name in names:
        with within_bounds(PATIENCE), pytest.raises(UsageError) as caught:
            load(f"{tmp_path}/{name}.yaml" if "~" not in name else name)
        assert_readable(str(caught.value))


def test_the_bounds_are_those_of_the_test(tmp_path: Path):
    with within_bounds(0.1), pytest.raises(TimeoutError):
        sum(i for i in range(10**12))
    with within_bounds(PATIENCE), pytest.raises(MemoryError):
        bytearray(2**29)


def test_aliases_within_the_bounds_are_read(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(f"zoo_again: &n [4, 3]\n{SMOKE.read_text()}")
    with pytest.raises(UsageError, match="zoo_again: unknown key"):
        load(tmp_path / "a.yaml")
    text = SMOKE.read_text().replace("seed: 0", "seed: 0", 1)
    (tmp_path / "b.yaml").write_text(f"store_root: &s elsewhere\ndata_root: *s\n{text}")
    assert load(tmp_path / "b.yaml").store_root == tmp_path / "elsewhere"


def test_of_many_wrong_keys_the_first_are_named(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(SMOKE.read_text() + "".join(f"wrong{i}: {i}\n" for i in range(100)))
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "a.yaml")
    assert [f"wrong{i}: unknown key" in line for i, line in enumerate(str(caught.value).splitlines())] == [
        True
    ] * 19 + [False]


def test_a_long_value_is_shown_by_its_ends():
    with pytest.raises(UsageError, match=r"device: .*, found 'x{20,60}\.\.\.x{20,60}'$"):
        load(SMOKE, [f"device={'x' * 10_000}"])


@pytest.mark.parametrize("seed", range(60))
def test_mutations_of_shipped_files_are_read_or_refused(tmp_path: Path, seed: int):
    fuzz_file(tmp_path, seed, PATIENCE)


@pytest.mark.parametrize("seed", range(60))
def test_any_override_is_read_or_refused(seed: int):
    fuzz_override(seed, PATIENCE)


def test_any_values_of_a_grid_are_read_or_refused():
    for seed in range(100):
        text = overrides(random.Random(seed))
        try:
            parse_axis(text)
        except UsageError as error:
            assert_readable(str(error))


@pytest.mark.parametrize("kind", ["aliases of a long text", "open brackets"])
def test_so_the_command_says(dwf: Dwf, tmp_path: Path, kind: str):
    (tmp_path / "bomb.yaml").write_bytes(BOMBS[kind])
    code, out, err = dwf("plan", tmp_path / "bomb.yaml")
    assert (code, out) == (2, "")
    assert_readable(err)


def fuzz_file(folder: Path, seed: int, seconds: float) -> bool:
    """One mutated configuration."""
    draw = random.Random(seed)
    (folder / "mutated.yaml").write_bytes(mutated(draw.choice(SHIPPED), draw))
    with within_bounds(seconds):
        return read(folder / "mutated.yaml")


def fuzz_override(seed: int, seconds: float) -> bool:
    """One or two overrides of the smoke configuration."""
    draw = random.Random(seed)
    with within_bounds(seconds):
        return read(SMOKE, *(overrides(draw) for _ in range(draw.randint(1, 2))))


@pytest.mark.survey
@pytest.mark.parametrize("block", range(100))
def test_ten_thousand_mutations_are_read_or_refused_within_the_bounds(tmp_path: Path, block: int):
    accepted = [fuzz_file(tmp_path, seed, 2.0) for seed in range(1000 + 100 * block, 1100 + 100 * block)]
    assert 0 < sum(accepted) < 100  # neither is all of it nonsense, nor all of it harmless


@pytest.mark.survey
@pytest.mark.parametrize("block", range(20))
def test_two_thousand_overrides_are_read_or_refused_within_the_bounds(block: int):
    assert sum(fuzz_override(seed, 2.0) for seed in range(1000 + 100 * block, 1100 + 100 * block)) < 100


@pytest.mark.survey
@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_stay_within_the_bounds_in_a_process_of_their_own(tmp_path: Path, kind: str):
    (tmp_path / "bomb.yaml").write_bytes(BOMBS[kind])
    ran = subprocess.run(
        [sys.executable, "-m", "pipeline", "plan", tmp_path / "bomb.yaml"], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == (0 if kind in ("UTF-16", "a mark of byte order") else 2)
    if ran.returncode:
        assert_readable(ran.stderr)
