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

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from stages.errors import DwfError, NotComplete
from stages.store.files import FORMAT_VERSION, flush, flush_one, replacing
from stages.store.refs import Ref

MANIFEST = "manifest.json"
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


class FileFacts(BaseModel):
    """What `verify` expects of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    size: int
    sha256: str


class Manifest(BaseModel):
    """Everything about how an artifact came to be; its presence makes the artifact complete."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format_version: int
    key_format: int = 1
    """Which rules made the key; release 0.1 didn't say, its keys are of format 1."""
    stage: str
    key: str
    experiment: str
    params: dict[str, Any]
    upstream: dict[str, str]
    code: dict[str, str]
    versions: dict[str, str]
    created: str
    seconds: float
    device: str
    threads: int
    peak_memory_mb: float
    summary: dict[str, Any]
    digest: str
    files: dict[str, FileFacts]
    seal: str
    """Hash of all the rest, so that a flipped bit among the parameters doesn't pass for what was run."""


def seal_of(fields: Mapping[str, Any]) -> str:
    """The seal of a manifest, from its fields as JSON has them."""
    text = json.dumps({name: value for name, value in fields.items() if name != "seal"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def artifact_path(root: Path, stage: str, key: str) -> Path:
    """Where the artifact of a stage with this key lies, or will lie."""
    return root / FOLDERS[stage] / key


def work_path(root: Path, stage: str, key: str) -> Path:
    """Where it is built: the name depends on the key alone, so the next run takes up what a killed one left."""
    return root / FOLDERS[stage] / f"{key}.partial"


def read_manifest(path: Path) -> Manifest:
    """The manifest of the artifact at `path`.

    Raises NotComplete when there is none, one of another format version, or one that isn't as it was written.
    """
    try:
        text = json.loads((path / MANIFEST).read_text())
    except FileNotFoundError as error:
        raise NotComplete(f"{path}: no finished artifact here (no {MANIFEST}); run the stage that writes it") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NotComplete(
            f"{path / MANIFEST}: not readable ({error}); delete the folder and run the stage again"
        ) from error
    version = text.get("format_version") if isinstance(text, dict) else None
    if version != FORMAT_VERSION:
        raise NotComplete(f"{path}: found format version {version}, expected {FORMAT_VERSION}; delete it and run again")
    if seal_of(text) != text.get("seal"):
        raise NotComplete(f"{path / MANIFEST}: changed since it was written; delete the folder and run the stage again")
    try:
        return Manifest.model_validate(text)
    except ValidationError as error:
        raise NotComplete(f"{path / MANIFEST}: {error.errors()[0]['loc']} {error.errors()[0]['msg']}") from error


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
        lock = FileLock(work.with_name(f"{key}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting:
                waiting()
            lock.acquire()
    except OSError as error:
        raise DwfError(
            f"{work.parent}: can't write here ({error.strerror}); choose another root with --store"
        ) from error
    try:
        yield work
    finally:
        lock.release()


def publish(work: Path, final: Path, manifest: dict[str, Any]) -> Manifest:
    """Turn a built folder into an artifact: digest its files, write the manifest last, flush, rename.

    `manifest` is everything but `files`, `digest` and `seal`. A damaged artifact under the final name is replaced.
    Once it returns, no power cut can take the artifact away; before, none can leave a false one under the final name.
    """
    for leftover in [*work.rglob("*.tmp*"), *work.rglob("*.partial")]:  # of killed writers: ours, and Zarr's
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    files = {name: FileFacts(size=path.stat().st_size, sha256=sha256_of(path)) for name, path in files_below(work)}
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


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def note_latest(root: Path, stage: str, experiment: str, key: str) -> None:
    """Keep the stage folder's `latest` listing: one line per experiment with time, name and key, newest last."""
    listing = root / FOLDERS[stage] / "latest"
    with FileLock(f"{listing}.lock"):
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
