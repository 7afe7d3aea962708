"""Memory that a process can still get: of the machine, and of the control group that it may be confined to."""

import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Files with a group's limit and what it uses, of the second and of the first version of control groups."""


def available_memory() -> int | None:
    """Bytes, what caches hold among them; None where the system doesn't say."""
    found = [amount for amount in (_of_machine(), *_of_groups()) if amount is not None]
    return min(found) if found else None


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # in all: no more is said elsewhere
    except (ValueError, OSError):
        return None


def _of_groups() -> Iterator[int]:
    """What is left of the limit of each group that the process is in."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        inner = GROUPS / controllers / group.lstrip("/")
        for folder in (inner, *inner.parents):
            if not folder.is_relative_to(GROUPS):
                break
            yield from _left(folder)


def _left(group: Path) -> Iterator[int]:
    for limit, used in LIMITS:
        try:
            allowed = (group / limit).read_text().strip()
            if allowed.isdigit():  # not `max`
                yield max(0, int(allowed) - int((group / used).read_text()) + _cached(group))
        except OSError:
            continue


def _cached(group: Path) -> int:
    """Bytes of files in memory, which make way."""
    try:
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in lines if line.startswith(("inactive_file ", "total_inactive_file "))), 0
    )
