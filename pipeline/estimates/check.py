"""Refusal of what is more than there is, before anything runs."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.config import Experiment
from pipeline.console import human_size
from pipeline.estimates import needs, times
from pipeline.estimates.needs import Need
from pipeline.estimates.scale import Scale, scale_of
from pipeline.estimates.times import Seconds
from pipeline.runner import Planned
from stages.errors import UsageError
from stages.memory import available_memory
from stages.store.artifact import work_path
from stages.store.files import size_on_disk

ROUGH = 2
"""Estimates of memory may be that many times too high: what may fit after all isn't refused."""
NVIDIA = Path("/dev/nvidia0")
"""There if `device: auto` is a GPU, which torch would take seconds to say."""


@dataclass(frozen=True)
class Estimate:
    """What a stage that would run needs, about; `begun` are the bytes that an interrupted run has written of it."""

    stage: str
    scale: Scale
    begun: int

    @property
    def disk(self) -> Need:
        """Bytes below the store."""
        return needs.disk(self.stage, self.scale)

    @property
    def memory(self) -> Need:
        """Bytes of memory, apart from a GPU's own."""
        device = self.scale.experiment.device
        gpu = device.startswith("cuda") or (device == "auto" and NVIDIA.exists())
        return needs.memory(self.stage, self.scale, gpu=gpu)

    @cached_property
    def time(self) -> Seconds | None:
        """Seconds; None if only running it would tell."""
        return times.seconds(self.stage, self.scale)


def estimates(experiment: Experiment, planned: Sequence[Planned]) -> list[Estimate]:
    """What each stage that would run needs; empty if nothing says how large networks are."""
    todo, root = [step for step in planned if step.ref is None], experiment.store_root
    scale = scale_of(experiment, planned) if todo else None
    if scale is None:
        return []
    return [Estimate(step.stage, scale, size_on_disk(work_path(root, step.stage, step.key))) for step in todo]


def check(found: Sequence[Estimate], store: Path, *, force: bool = False) -> list[str]:
    """What may be too much for the disk of the store or for memory, a line each.

    Raises UsageError with the lines about what is too much beyond doubt, unless `force`.
    """
    sure = [estimate for estimate in found if not estimate.scale.guessed]
    beyond = [*_beyond_disk(sure, store), *_beyond_memory(sure, ROUGH)]
    if beyond and not force:
        raise UsageError("\n".join(f"{line}, or run it all the same with --force" for line in beyond))
    return [*_beyond_disk(found, store), *_beyond_memory(found)]


def _beyond_disk(found: Sequence[Estimate], store: Path) -> Iterator[str]:
    there = next(folder for folder in (store, *store.parents) if folder.is_dir())
    free, needed = shutil.disk_usage(there).free, sum(max(0.0, e.disk.size - e.begun) for e in found)
    if needed > free:
        largest = max(found, key=lambda estimate: estimate.disk.size)
        yield (
            f"{largest.disk.cause}: too much for the disk: {largest.stage} writes about "
            f"{human_size(largest.disk.size)}, the run {human_size(needed)}, and {human_size(free)} are free at "
            f"{store}; reduce it, choose another disk with --store"
        )


def _beyond_memory(found: Sequence[Estimate], rough: float = 1) -> Iterator[str]:
    """Estimates above what is free though they were `rough` times too high: of each cause the worst."""
    free = available_memory()
    worst = {e.memory.cause: e for e in sorted(found, key=lambda estimate: estimate.memory.size)}
    for cause, estimate in worst.items():
        if free is not None and estimate.memory.size > rough * free:
            yield (
                f"{cause}: too much for memory: {estimate.stage} takes about {human_size(estimate.memory.size)}, and "
                f"{human_size(free)} are free; reduce it"
            )
