"""The context of a run: folders, device, threads and progress, none of which may change a result."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from stages.progress import Progress, silent


@dataclass(frozen=True)
class Context:
    """Folders, device, threads and progress of one stage's run.

    `out` keeps its path after a kill, so that a stage finds the units of work that it had finished.
    """

    out: Path
    data_root: Path = Path("data/0_raw")
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    threads: int = 2
    progress: Progress = silent


def pick_device(name: str) -> torch.device:
    """The device of this name: `auto` is CUDA if there is any, else the CPU; other names are torch's."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run a block with `count` threads inside torch's operators, then restore: small networks lose by more."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors instead of returning it to the system at every step.

    Training a stack of small networks allocates and frees the same megabytes each step; page faults on them cost
    10 to 25 % of the zoo's time on two cores. Does nothing where there is no glibc.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    m_trim_threshold, m_mmap_threshold = -1, -3  # names and numbers from malloc.h
    libc.mallopt(m_mmap_threshold, 1 << 30)
    libc.mallopt(m_trim_threshold, 2**31 - 1)
