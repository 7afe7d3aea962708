"""Artifacts of one small file, for tests that need many."""

from collections.abc import Mapping
from pathlib import Path

from stages.store.artifact import artifact_path, building, publish
from stages.store.files import FORMAT_VERSION
from stages.store.manifest import Manifest


def make_tiny(
    root: Path, stage: str, key: str, upstream: Mapping[str, str] | None = None, content: str = "some"
) -> Manifest:
    """Build and publish an artifact whose only file holds `content`."""
    with building(root, stage, key) as work:
        work.mkdir(parents=True, exist_ok=True)
        return publish_tiny(root, stage, key, upstream or {}, content)


def publish_tiny(root: Path, stage: str, key: str, upstream: Mapping[str, str], content: str) -> Manifest:
    """The same within a lock that is held, in a work folder that is there."""
    work = artifact_path(root, stage, key).with_name(f"{key}.partial")
    (work / "content.txt").write_text(content)
    facts = {name: {} for name in ("params", "code", "versions", "summary")}
    times = {"created": "2026-01-01T00:00:00Z", "seconds": 1.0, "peak_memory_mb": 1.0}
    about = {"format_version": FORMAT_VERSION, "stage": stage, "key": key, "experiment": "test"}
    machine = {"device": "cpu", "threads": 1, "upstream": dict(upstream)}
    return publish(work, artifact_path(root, stage, key), about | facts | times | machine)
