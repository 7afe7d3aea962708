"""Golden artifacts: one of each kind as this release writes it, which later releases must read.

`uv run python tests/golden/write.py` writes `release-<version>.tar.xz` anew, for a release that changes a stored format
on purpose. Tests never do.
"""

import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "conf" / "smoke.yaml"
OVERRIDES = (
    "name=golden",
    "device=cpu",
    "threads=1",
    "zoo.network={kind: mlp, widths: [4, 3, 3, 3]}",
    "zoo.members=4",
    "zoo.heldout=2",
    "zoo.shard_size=6",
    "fit.steps=60",
    "fit.check_every_steps=10",
    "fit.eval_samples=4",
    "sample.networks=3",
    "evaluate={baseline_networks: 3, noise_levels: [0.1], interpolation_fractions: [0.5], soup_sizes: [2]}",
)
TOKENS = ("name=golden_tokens", "fit.space={kind: tokens}", "fit.velocity={kind: tokens, width: 8, depth: 1, heads: 2}")
"""Beside the flow over codes one over neurons, and networks of it."""
LEFT_OUT = ("events", "report.html", ".lock", ".png", "latest")
"""What holds clock times, is drawn, or belongs to a store and not to an artifact."""


def write(target: Path) -> None:
    """Run a tiny configuration and put its artifacts into an archive."""
    from pipeline.config import load
    from pipeline.runner import Runner, run_directly

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run_directly(Runner(load(CONFIG, OVERRIDES, root)), lambda stage, ref, reused: None)
        run_directly(Runner(load(CONFIG, (*OVERRIDES, *TOKENS), root)), lambda stage, ref, reused: None, last="sample")
        with tarfile.open(target, "w:xz", preset=9) as archive:
            for path in sorted(path for path in root.rglob("*") if path.is_file()):
                name = path.relative_to(root).as_posix()
                if not any(part in name for part in LEFT_OUT):
                    archive.add(path, name, filter=_anonymous)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the owner and the time of a file."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))
    write(HERE / f"release-{version('dwf')}.tar.xz")
