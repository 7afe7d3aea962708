"""Free memory: of the machine, and what a control group leaves of it."""

from pathlib import Path

import pytest

from stages import memory
from stages.memory import available_memory


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in the place of the file system's root."""
    monkeypatch.setattr(memory, "Path", lambda path: tmp_path / str(path).lstrip("/"))
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "sys/fs/cgroup")
    return tmp_path


def write(files: Path, **texts: str | int) -> None:
    for name, text in texts.items():
        path = files / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))


def machine(files: Path, kilobytes: int) -> None:
    write(files, **{"proc/meminfo": f"MemTotal: {2 * kilobytes} kB\nMemAvailable: {kilobytes} kB\n"})


def test_this_machine_has_some():
    found = available_memory()
    assert found is not None
    assert found > 10**6


def test_it_is_what_the_machine_says_without_a_limit(files: Path):
    machine(files, 1000)
    write(files, **{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"})
    assert available_memory() == 1000 * 1024


@pytest.mark.parametrize("limited", ["", "a", "a/b"])
def test_a_limit_of_any_group_above_counts_less_what_is_used_but_for_cached_files(files: Path, limited: str):
    machine(files, 1000)
    group = f"sys/fs/cgroup/{limited}".rstrip("/")
    values = {"memory.max": 5000, "memory.current": 3000, "memory.stat": "anon 1\ninactive_file 700\n"}
    write(files, **{"proc/self/cgroup": "0::/a/b\n"}, **{f"{group}/{name}": value for name, value in values.items()})
    assert available_memory() == 5000 - 3000 + 700


def test_the_first_version_of_control_groups_counts_too(files: Path):
    machine(files, 1000)
    group = "sys/fs/cgroup/memory/a"
    values = {"memory.limit_in_bytes": 5000, "memory.usage_in_bytes": 4000}
    write(files, **{"proc/self/cgroup": "4:memory:/a\n3:cpu:/a\n"}, **{f"{group}/{n}": v for n, v in values.items()})
    assert available_memory() == 1000


def test_a_machine_that_says_nothing_has_what_there_is_in_all(files: Path):
    found = available_memory()
    assert found is not None
    assert found > 10**6
