"""Artifacts: folders named by key that count only once their manifest is in place."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import Timeout

from stages.errors import DwfError
from stages.locks import lock
from stages.store.files import flush, flush_one, replacing
from stages.store.manifest import MANIFEST, FileFacts, Manifest, facts_of, read_manifest, seal_of
from stages.store.refs import Ref

FOLDERS = {
    "zoo": "1_zoo",
    "canonicalize": "2_canonical",
    "pack": "3_packed",
    "fit": "4_fitted",
    "sample": "5_sampled",
    "evaluate": "6_evaluated",
    "report": "7_report",
    "sweep": "8_sweeps",
}
"""Stage name -> folder below the store root, numbered in the order of the dag."""
EARLIER_FOLDERS = {"evaluate": "6_report"}
"""Where release 0.1 kept what has another folder now. Nothing is read from there but the listing of what there is."""
VOLATILE = ("events", "report.html", "summary.json")
"""Parts of an artifact that hold clock times: verified byte by byte, left out of the content digest."""


def artifact_path(root: Path, stage: str, key: str) -> Path:
    """Where the artifact of a stage with this key lies, or will lie."""
    return root / FOLDERS[stage] / key


def work_path(root: Path, stage: str, key: str) -> Path:
    """Where it is built: the name depends on the key alone, so the next run takes up what a killed one left."""
    return root / FOLDERS[stage] / f"{key}.partial"


def find(root: Path, stage: str, key: str) -> Ref | None:
    """The finished artifact with this key, if its manifest and every file that the manifest names are there."""
    path = artifact_path(root, stage, key)
    if not (path / MANIFEST).exists():
        return None
    manifest = read_manifest(path)
    for name, facts in manifest.files.items():
        file = path / name
        if not file.exists() or file.stat().st_size != facts.size:
            return None
    return Ref(stage=stage, key=key, path=path, digest=manifest.digest)


@contextmanager
def building(root: Path, stage: str, key: str, waiting: Any = None) -> Iterator[Path]:
    """Hold the lock of one artifact and give the folder to build it in; `waiting()` is called if another run has it.

    The lock is the operating system's and dies with its process.
    """
    work = work_path(root, stage, key)
    try:
        work.parent.mkdir(parents=True, exist_ok=True)
        mine = lock(root, stage, key)
        try:
            mine.acquire(timeout=0)
        except Timeout:
            if waiting:
                waiting()
            mine.acquire()
    except OSError as error:
        raise DwfError(
            f"{work.parent}: can't write here ({error.strerror}); choose another root with --store"
        ) from error
    try:
        yield work
    finally:
        mine.release()


def publish(work: Path, final: Path, manifest: dict[str, Any]) -> Manifest:
    """Turn a built folder into an artifact: digest its files, write the manifest last, flush, rename.

    `manifest` is everything but `files`, `digest` and `seal`. A damaged artifact under the final name is replaced.
    Once it returns, no power cut can take the artifact away; before, none can leave a false one under the final name.
    """
    for leftover in [*work.rglob("*.tmp*"), *work.rglob("*.partial")]:  # of killed writers: ours, and Zarr's
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    files = {name: facts_of(path) for name, path in files_below(work)}
    full = Manifest(**manifest, files=files, digest=content_digest(work, files), seal="")
    full = full.model_copy(update={"seal": seal_of(json.loads(full.model_dump_json()))})
    (work / f"{MANIFEST}.tmp").write_text(full.model_dump_json(indent=1))
    flush(work)
    os.rename(work / f"{MANIFEST}.tmp", work / MANIFEST)
    flush_one(work)
    if final.exists():
        shutil.rmtree(final)
    os.rename(work, final)
    flush_one(final.parent)
    flush_one(final.parent.parent)  # in a new store the stage's folder is new, too
    return full


def content_digest(folder: Path, files: Mapping[str, FileFacts]) -> str:
    """A hash of what the artifact says: the digest inside each Zarr store, the bytes of every other lasting file."""
    parts: dict[str, str] = {}
    for name, facts in files.items():
        store = next((p for p in Path(name).parents if p.suffix == ".zarr"), None)
        if Path(name).parts[0] in VOLATILE:
            continue
        if store is None:
            parts[name] = facts.sha256
        elif Path(name) == store / "zarr.json":
            parts[str(store)] = json.loads((folder / name).read_text())["attributes"]["content_digest"]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def files_below(folder: Path) -> list[tuple[str, Path]]:
    """Every file except the manifest, by its path within the folder, sorted."""
    files = ((str(path.relative_to(folder)), path) for path in folder.rglob("*") if path.is_file())
    return sorted((name, path) for name, path in files if not name.startswith(MANIFEST))


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def note_latest(root: Path, stage: str, experiment: str, key: str) -> None:
    """Keep the stage folder's `latest` listing: one line per experiment with time, name and key, newest last."""
    listing = root / FOLDERS[stage] / "latest"
    with lock(root, stage, "latest"):
        lines = [line for line in read_latest(root, stage) if line[1] != experiment]
        with replacing(listing) as partial:
            partial.write_text("".join("  ".join(line) + "\n" for line in [*lines, (now(), experiment, key)]))


def read_latest(root: Path, stage: str) -> list[tuple[str, str, str]]:
    """The lines of the stage's `latest` listing as (time, experiment, key)."""
    return _read_listing(root / FOLDERS[stage])


def _read_listing(folder: Path) -> list[tuple[str, str, str]]:
    listing = folder / "latest"
    lines = listing.read_text().splitlines() if listing.exists() else []
    return [(words[0], words[1], words[2]) for line in lines if len(words := line.split()) == 3]


def last_artifact(root: Path, stage: str, experiment: str) -> Path | None:
    """Where the experiment's last artifact of a stage lies or lay, in the folder of an earlier release if need be."""
    folders = [root / names[stage] for names in (FOLDERS, EARLIER_FOLDERS) if stage in names]
    listed = ((folder / key, name) for folder in folders for _, name, key in _read_listing(folder))
    return next((path for path, name in listed if name == experiment), None)
