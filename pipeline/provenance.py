"""Provenance of a result: versions, the sources' commit, the device, and the memory that was used."""

import platform
import resource
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
LENGTH = 12
"""Digits of a commit's name."""
LIBRARIES = ("torch", "zarr", "numpy", "scipy", "pydantic", "dwf")


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that decide about results, and the sources' commit, if any."""
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    own = commit()
    return {"python": platform.python_version()} | libraries | ({"commit": own} if own else {})


def device_name(name: str) -> str:
    """The processor's or the GPU's name, of a device as configurations name it."""
    import torch

    from stages.context import pick_device

    device = pick_device(name)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()


def peak_memory_mb() -> float:
    """The process's largest resident size so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


@cache
def commit(folder: Path = HERE) -> str | None:
    """The commit that is checked out, followed by ` and changes` if tracked sources differ from it.

    None where `folder` isn't the top of a working tree: sources within another project's tree aren't that project's.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    name = _git(folder, "rev-parse", f"--short={LENGTH}", "HEAD")
    if not top or not name or Path(top).resolve() != folder.resolve():
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", "pipeline", "stages")
    return f"{name} and changes" if changed else name


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None where it can't, or isn't there."""
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True)  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
