"""The README's pictures: the dag as `pipeline.dag` wires it, and the first screens of a report.

    uv run python tests/pictures.py                     # conf/pictures/dag.png
    uv run python tests/pictures.py CONFIG [STORE]      # and conf/pictures/report.png

The report is that of CONFIG's artifact below STORE (default: data/), which `dwf run --direct CONFIG` makes.
Its picture needs Chromium.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image
from smoke import PROJECT

from pipeline.config import load
from pipeline.dag import STAGES, dag
from pipeline.runner import Runner
from stages.reporting.drawing import STYLE
from stages.reporting.looks import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from stages.store.artifact import FOLDERS

PICTURES = PROJECT / "conf" / "pictures"
MAKES = {
    "zoo": (BLUE, "trained networks,\nmembers of the zoo", "shards/*.zarr"),
    "canonicalize": (SKY, "permutations that\nalign each member", "alignment.zarr"),
    "pack": (PURPLE, "aligned weights\n[network, parameter]", "weights.zarr"),
    "fit": (ORANGE, "flow-matching model,\nnoise to weights", "velocity.safetensors"),
    "sample": (VERMILLION, "new networks,\nno fine-tuning", "weights.zarr"),
    "evaluate": (GREEN, "accuracy and novelty\nbeside baselines", "figures.json"),
    "report": ("#59636e", "one page\nof all figures", "report.html"),
}
"""Per stage: its colour, what it makes, and the main file of its artifact."""
STEP, WIDTH, HEIGHT = 1.72, 1.3, 0.46
TWO_COLUMNS = """<style>
main { max-width: none; display: grid; grid-template-columns: 1fr 1fr; column-gap: 5rem; padding: 3rem 3.5rem; }
main > * { grid-column: 1; min-width: 0; }
main > h2 { margin-top: 2rem; }
section { grid-area: 1 / 2 / 9; }
section h2 { margin-top: 0; padding: 0; border: 0; }
section ~ section { display: none; }
</style></head>"""
"""The page's head and first table beside its first section."""


def edges() -> list[tuple[str, str]]:
    """Pairs of stages, the second of which reads the first one's artifact."""
    pairs: list[tuple[str, str]] = []

    def call(stage: str, /, **upstream: str) -> str:
        pairs.extend((earlier, stage) for earlier in upstream.values())
        return stage

    dag(call)
    return pairs


def draw_dag(target: Path) -> None:
    """One box per stage from left to right, an arrow or an arc per edge, and what each makes below it."""
    style: dict[Any, Any] = {**STYLE, "text.color": "#1c2127", "font.size": 10}
    with rc_context(style):
        figure = Figure(figsize=(12, 2.9), dpi=150)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-0.8, 6 * STEP + 0.8), ylim=(-1.25, 1.45))
        axes.axis("off")
        for earlier, later in edges():
            _edge(axes, STAGES.index(earlier), STAGES.index(later))
        for i, stage in enumerate(STAGES):
            _stage(axes, i * STEP, stage)
        figure.savefig(target)


def _stage(axes: Axes, x: float, stage: str) -> None:
    colour, makes, file = MAKES[stage]
    box = FancyBboxPatch(
        (x - WIDTH / 2, -HEIGHT / 2), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.1", facecolor="white"
    )
    box.set(edgecolor=colour, linewidth=1.8, zorder=3)
    axes.add_patch(box)
    axes.text(x, 0, stage, ha="center", va="center", weight="bold", fontsize=11.5, zorder=4)
    axes.text(x, -0.36, makes, ha="center", va="top", linespacing=1.35)
    axes.text(
        x, -0.87, f"{FOLDERS[stage]}/\n{file}", ha="center", va="top", fontsize=8, color="#59636e", family="monospace"
    )


def _edge(axes: Axes, earlier: int, later: int) -> None:
    """A straight arrow to the next stage, an arc over those between otherwise, coloured by what it carries."""
    near = later == earlier + 1
    start, end = earlier * STEP, later * STEP
    colour = MAKES[STAGES[earlier]][0]
    arrow = FancyArrowPatch(
        (start + WIDTH / 2, 0) if near else (start + 0.12, HEIGHT / 2),
        (end - WIDTH / 2, 0) if near else (end - 0.1 * (later - earlier) - 0.02, HEIGHT / 2 + 0.02),
        arrowstyle="-|>",
        connectionstyle="arc3" if near else f"arc3,rad={-0.1 - 0.66 / (later - earlier + 1):.3f}",
        shrinkA=2 if near else 0,
        shrinkB=2 if near else 0,
        mutation_scale=12,
    )
    arrow.set(color=colour, linewidth=1.6 if near else 1.0, alpha=1 if near else 0.8, zorder=2)
    axes.add_patch(arrow)


def browser() -> str | None:
    """The path of Chromium, if it is installed."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


def draw_report(page: Path, target: Path) -> None:
    """The page's head and first table beside its first section, in 256 colours so that the file is small."""
    if (chromium := browser()) is None:
        sys.exit("the report's picture needs Chromium, which isn't on PATH (Debian: apt install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        copy, shot = Path(folder) / "report.html", Path(folder) / "report.png"
        copy.write_text(page.read_text().replace("</head>", TWO_COLUMNS, 1))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1920,1400"]
        command = [chromium, *options, f"--screenshot={shot}", copy.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        Image.open(shot).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
            target, optimize=True
        )


def main(arguments: list[str]) -> None:
    """Draw the dag, and the report of a configuration where one is named."""
    PICTURES.mkdir(exist_ok=True)
    draw_dag(PICTURES / "dag.png")
    if arguments:
        config, store = Path(arguments[0]), Path(arguments[1]) if arguments[1:] else None
        step = Runner(load(config, (), store, None)).plan()[-1]
        if step.ref is None:
            sys.exit(f"{config}: no report ({step.why}); run `uv run dwf run --direct {config}` first")
        draw_report(step.path / "report.html", PICTURES / "report.png")


if __name__ == "__main__":
    main(sys.argv[1:])
