"""The garbage of a store: what lies in it, less what configurations, recent runs and running ones reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.gc.leftovers import Leftover, leftovers
from pipeline.gc.reached import Keys, configuration_files, configured, recent, with_upstream
from pipeline.listing import listing, sizes


@dataclass(frozen=True)
class Garbage:
    """What can go, given what stays."""

    kept: Keys
    leftovers: list[Leftover]
    sizes: dict[str, int]
    """The bytes of all artifacts of each stage, whether they can go or not."""
    unreadable: dict[Path, str]
    """Configurations of which it can't be told what they reach, and why."""


def collect(root: Path, folders: Sequence[Path], keep_runs: int) -> Garbage:
    """The garbage of a store by the configurations in some folders, or in the usual places, and by its last runs."""
    reached = configured(configuration_files(folders), root)
    runs, _ = recent(root, keep_runs)
    kept = with_upstream(root, reached.keys.union(*(record.keys for record in runs)))
    artifacts = listing(root)
    found = leftovers(root, artifacts, kept)
    return Garbage(kept, found, sizes(artifacts), reached.unreadable)
