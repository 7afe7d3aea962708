"""Verification of artifacts: every digest recomputed, and what differs named."""

from pathlib import Path

from stages.errors import Damaged, DwfError
from stages.store.arrays import digest_group, open_group
from stages.store.artifact import content_digest, files_below
from stages.store.manifest import Manifest, facts_of, read_manifest

UNREADABLE = (DwfError, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
"""Errors that Zarr and JSON raise on damaged bytes."""


def verify(path: Path) -> tuple[Manifest, list[str]]:
    """The manifest of the artifact at `path` and one line for each thing that is not as it was written.

    Raises NotComplete if no artifact lies there.
    """
    manifest = read_manifest(path)
    wrong = wrong_files(path, manifest)
    return manifest, [f"{name}: {problem}" for name, problem in wrong.items()] or _contents(path, manifest)


def wrong_files(path: Path, manifest: Manifest) -> dict[str, str]:
    """The files of an artifact that aren't as they were written, by name, and how each differs."""
    present = dict(files_below(path))
    problems = dict.fromkeys(sorted(set(present) - set(manifest.files)), "not in the manifest")
    changed: dict[str, str] = {}
    for name, expected in manifest.files.items():
        if name not in present:
            problems[name] = "missing"
        elif (size := present[name].stat().st_size) != expected.size:
            problems[name] = f"truncated or grown, {size} bytes, expected {expected.size}"
        elif (digest := facts_of(present[name]).sha256) != expected.sha256:
            changed[name] = digest
    owners = {facts.sha256: name for name, facts in manifest.files.items()}
    for name, digest in changed.items():
        if other := owners.get(digest):
            problems[name] = f"swapped, holds the bytes of {other}"
        else:
            problems[name] = f"changed, sha256 {digest[:12]}, expected {manifest.files[name].sha256[:12]}"
    return problems


def _contents(path: Path, manifest: Manifest) -> list[str]:
    """The digests of decoded values, which hold across any rewriting of chunks."""
    problems = []
    for store in sorted(p for p in path.rglob("*.zarr") if p.is_dir()):
        try:
            group = open_group(store, compared=False)
            if digest_group(group) != group.attrs.get("content_digest"):
                problems.append(f"{store.relative_to(path)}: the values don't fit the store's content digest")
        except UNREADABLE as error:
            problems.append(f"{store.relative_to(path)}: {error}")
    try:
        whole = content_digest(path, manifest.files)
    except UNREADABLE as error:
        return [*problems, f"content digest can't be computed: {error}"]
    return problems if whole == manifest.digest else [*problems, "the content digest differs from the manifest's"]


def require_sound(path: Path) -> Manifest:
    """The manifest, if nothing is wrong. Raises Damaged with every problem otherwise."""
    manifest, problems = verify(path)
    if problems:
        raise Damaged(f"{path}: " + "; ".join(problems))
    return manifest
