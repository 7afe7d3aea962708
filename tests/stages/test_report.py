"""The report's page: complete, self-contained, deterministic, and readable at 360 pixels."""

import copy
import html
import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from stages.audit.plots import PLOTS
from stages.audit.report import write_report

LEVELS = {  # accuracy, max-IoU and distance in tau of made-up sets
    "members": ("members", None, 0.963, 0.42, 1.0),
    "held-out": ("held-out", None, 0.962, 0.42, 1.02),
    "generated": ("generated", None, 0.962, 0.95, 0.02),
    "noise 0.02": ("baseline", "noise", 0.963, 0.97, 0.02),
    "noise 0.05": ("baseline", "noise", 0.962, 0.9, 0.05),
    "noise 0.2": ("baseline", "noise", 0.94, 0.6, 0.2),
    "noise 0.5": ("baseline", "noise", 0.55, 0.15, 0.5),
    "interpolation 0.1": ("baseline", "interpolation", 0.962, 0.8, 0.12),
    "interpolation 0.5": ("baseline", "interpolation", 0.93, 0.4, 0.6),
    "soup 2": ("baseline", "soup", 0.94, 0.4, 0.7),
    "soup 4": ("baseline", "soup", 0.9, 0.3, 0.85),
    "gaussian null": ("baseline", "gaussian", 0.12, 0.11, 1.3),
    "retrieval": ("baseline", "retrieval", 0.963, 1.0, 0.0),
    "fresh": ("baseline", "fresh", 0.962, 0.42, 1.02),
}


def _statistics(values: np.ndarray) -> dict[str, float]:
    quantiles = {f"p{q}": float(np.quantile(values, q / 100)) for q in (10, 50, 90)}
    extremes = {"min": float(values.min()), "max": float(values.max())}
    return {"mean": float(values.mean()), "std": float(values.std()), **extremes, **quantiles}


def _set(rng: np.random.Generator, networks: int, name: str) -> dict[str, Any]:
    role, family, accuracy, iou, distance = LEVELS[name]
    accuracies = np.clip(accuracy + (1.02 - accuracy) * 0.05 * rng.standard_normal(networks), 0, 1)
    ious = np.clip(iou + 0.03 * rng.standard_normal(networks), 0, 1)
    distances = distance * np.exp(0.08 * rng.standard_normal(networks))
    good = accuracies >= 0.958
    return {
        "role": role,
        "family": family,
        "networks": networks,
        "distance_in_tau": float(np.median(distances)),
        "score": _statistics(accuracies),
        "loss": _statistics(-np.log(np.clip(accuracies, 0.1, 1))),
        "max_iou": _statistics(ious),
        "distance": _statistics(22.9 * distances),
        "nearest_members_hit": 57,
        "novel_and_performant": {str(m): float((good & (distances >= m)).mean()) for m in (0.25, 0.5, 1.0, 2.0)},
        "ensemble_score": accuracies.max() + 0.005,
        "dispersion": 1.0,
        "points": {"score": list(accuracies), "distance_in_tau": list(distances), "max_iou": list(ious)},
    }


def made_up(networks: int = 100) -> dict[str, Any]:
    """Figures as an evaluation of MNIST networks could give them."""
    rng = np.random.default_rng(1)
    tensors = [f"layers.{i}.{part}" for i in range(3) for part in ("weight", "bias")]
    edges = {t: list(np.linspace(-0.5, 0.5, 61)) for t in tensors}
    bell = [float(np.exp(-((x + 0.01) ** 2) * 30)) for x in np.linspace(-0.5, 0.5, 60)]
    steps = np.arange(0, 20_000, 20)
    falling = 2 * np.exp(-steps / 3000) + 0.2
    before = 40 + rng.standard_normal(networks)
    disk = np.exp(-((np.mgrid[-1:1:28j, -1:1:28j] ** 2).sum(0)) * 3).ravel()
    images = {who: [list(disk * rng.standard_normal(784)) for _ in range(8)] for who in ("members", "generated")}
    return {
        "schema": 2,
        "score": "accuracy",
        "dataset": {"name": "mnist"},
        "network": {"kind": "mlp", "widths": [784, 32, 32, 10]},
        "parameters": 26506,
        "test_examples": 10000,
        "bar": 0.958,
        "tau": 22.9,
        "verdict": {
            "accurate": True,
            "new": False,
            "better_than_baselines": None,
            "text": "As accurate as members: yes (96.2 % against 96.3 %). New: no (nearest member at 0.02 τ). "
            "Better than the baselines: not measured.",
        },
        "sets": {name: _set(rng, networks, name) for name in LEVELS},
        "curves": {
            "step": list(steps),
            "loss": list(falling * np.exp(0.1 * rng.standard_normal(len(steps)))),
            "heldout_loss": [float(v) + 0.1 if i % 50 == 0 else None for i, v in enumerate(falling)],
            "dispersion": [1 - float(np.exp(-s / 2000)) if i % 50 == 0 else None for i, s in enumerate(steps)],
        },
        "spectrum": {
            "variance": [*(5 * 0.985 ** np.arange(networks - 1)), 0.0],
            "effective_rank": 0.8 * networks,
            "networks": networks,
        },
        "alignment": {
            "distance_before": [0.0, *before[1:]],
            "distance_after": [0.0, *(before[1:] * 0.8)],
            "largest_output_gap": 1e-15,
        },
        "histograms": {
            "edges": edges,
            "members": dict.fromkeys(tensors, bell),
            "generated": dict.fromkeys(tensors, bell[::-1]),
        },
        "filters": {"side": 28, **images},
    }


ABOUT: dict[str, Any] = {
    "experiment": "mnist_mlp",
    "created": "2026-11-23T16:02:07Z",
    "lineage": [
        {
            "stage": stage,
            "key": f"{i:x}" * 16,
            "seconds": 74.2 * i,
            "reused": i < 3,
            "summary": {"members": 100, "accuracy": 0.9631},
        }
        for i, stage in enumerate(("zoo", "canonicalize", "pack", "fit", "sample", "evaluate"), 1)
    ],
    "config": "zoo:\n  members: 100\n  note: " + "long " * 60,
    "hardware": {"device": "cpu", "threads": 2, "processor": "Intel(R) Xeon(R) Processor @ 2.10GHz"},
    "versions": {"python": "3.11.2", "torch": "2.15.0", "numpy": "2.4.0", "zarr": "3.1.5", "dwf": "0.1.0"},
}


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return made_up()


@pytest.fixture(scope="module")
def page(figures, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, figures, ABOUT)
    return path.read_text(encoding="utf-8")


class _Reader(HTMLParser):
    """Collects what the tests ask about, and fails on tags that don't nest."""

    VOID = ("meta", "link")

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_plot_is_on_the_page_with_its_caption(page):
    for plot in PLOTS:
        assert f'<figure id="{plot.name}"' in page
        assert html.escape(plot.caption, quote=False).replace("'", "&#39;") in page
    assert page.count("<svg") == page.count('role="img"') == len(PLOTS) >= 9


def test_page_needs_nothing_but_itself(page):
    reader = _Reader(page)
    assert "script" not in reader.tags
    assert "http" not in re.sub('http-equiv="', "", page)
    for name, value in reader.attributes:
        if name in ("href", "src", "xlink:href"):
            assert value.startswith(("#", "data:"))
    assert len(page.encode()) < 1_000_000


def test_ids_are_unique_and_all_references_resolve(page):
    attributes = _Reader(page).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for name, value in attributes if name == "href" and value.startswith("#")}
    assert used | set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_plots_take_the_ink_of_the_page(page):
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "currentColor" in drawings
    assert "#000000" not in drawings
    assert "#ffffff" not in drawings
    assert "#010203" not in drawings


def test_two_writes_are_equal(page, figures, tmp_path):
    write_report(tmp_path / "again.html", copy.deepcopy(figures), ABOUT)
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_main_table_says_the_figures(page, figures):
    row = re.search(r"<tbody class=\"generated\">.*?</tbody>", page, flags=re.DOTALL)
    assert row
    accuracy = figures["sets"]["generated"]["score"]
    assert f"{100 * accuracy['mean']:.2f} ± {100 * accuracy['std']:.2f}" in row[0]
    assert "not measured" in page


@pytest.mark.parametrize(
    ("absent", "left_out"),
    [
        ({"sets"}, {"novelty", "mistakes", "novel_and_performant"}),
        ({"curves", "spectrum", "alignment"}, {"loss", "dispersion", "spectrum", "alignment"}),
        ({"histograms", "filters"}, {"histograms", "filters"}),
        ({"bar", "tau", "verdict", "network"}, set()),
    ],
)
def test_what_is_absent_is_left_out(absent, left_out, tmp_path):
    figures = {key: value for key, value in made_up(5).items() if key not in absent}
    write_report(tmp_path / "report.html", figures, ABOUT)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert {plot.name for plot in PLOTS if f'<figure id="{plot.name}"' not in page} == left_out


def _nulls(value: Any) -> Any:
    return {key: _nulls(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def test_a_page_of_nulls_and_an_empty_one_are_written(tmp_path):
    for i, (figures, about) in enumerate([({}, {}), (_nulls(made_up(5)), _nulls(ABOUT))]):
        write_report(tmp_path / f"{i}.html", figures, about)
        assert "<svg" not in (tmp_path / f"{i}.html").read_text("utf-8")


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.9667, 1.0])
@pytest.mark.parametrize("distance", [0.0, 1e-7, 1.0, 300.0])
def test_sets_of_one_network_can_be_drawn(accuracy, distance):
    points = {"score": [accuracy], "distance_in_tau": [distance], "max_iou": [None]}
    figures = {"sets": {"new family": {"role": "baseline", "family": "mystery", "points": points}}}
    assert [p.name for p in PLOTS if p(figures)] == ["novelty"]


def test_hostile_words_are_escaped(tmp_path):
    hostile = '<script>alert("x")</script> & $\\frac'
    figures = made_up(5)
    figures["sets"][hostile] = figures["sets"].pop("soup 4")
    figures["histograms"] = {part: {hostile: next(iter(v.values()))} for part, v in figures["histograms"].items()}
    figures["verdict"]["text"] = figures["dataset"]["name"] = hostile
    write_report(
        tmp_path / "report.html",
        figures,
        {**ABOUT, "experiment": hostile, "config": hostile, "hardware": {hostile: hostile}},
    )
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "script" not in _Reader(page).tags
    assert page.count("&lt;script&gt;") >= 6


MEASURE = """<!doctype html><meta charset="utf-8">{frames}<pre id="measured"></pre><script>
addEventListener("load", () => {{
  const say = [];
  for (const frame of document.querySelectorAll("iframe")) {{
    const page = frame.contentDocument;
    const boxes = [...page.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect());
    const words = [...page.querySelectorAll("svg text")].map(text => text.getBoundingClientRect().height);
    say.push([page.documentElement.scrollWidth, frame.contentWindow.innerWidth, boxes.length,
              Math.min(...boxes.map(b => b.width)), Math.min(...boxes.map(b => b.height)), Math.min(...words)].join(" "));
  }}
  document.getElementById("measured").textContent = say.join(";");
}});
</script>"""


def test_nothing_overflows_on_a_desk_or_a_phone(page, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium isn't installed")
    frames = "".join(
        f'<iframe width="{w}" height="800" style="border: 0" srcdoc="{html.escape(page)}"></iframe>'
        for w in (1200, 360)
    )
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(MEASURE.format(frames=frames), encoding="utf-8")
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    alone = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [chromium, *alone, *quiet, "--virtual-time-budget=2000", "--dump-dom", wrapper.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    measured = re.search(r'<pre id="measured">([^<]+)</pre>', dom)
    assert measured
    for width, line in zip((1200, 360), measured[1].split(";"), strict=True):
        scroll, inner, count, svg_width, svg_height, text = (float(value) for value in line.split())
        assert scroll <= inner == width
        assert count == len(PLOTS)
        assert min(svg_width, svg_height) > 60
        assert text > 7


def test_a_regression_is_told_in_its_own_words(tmp_path):
    figures = made_up(5) | {"score": "spearman", "tolerance": 0.25}
    figures["sets"]["generated"]["further"] = {"r2": {"mean": 0.777}, "mae": {"mean": 0.111}}
    write_report(tmp_path / "report.html", figures, ABOUT)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Spearman × 100" in page
    assert "0.777" in page
    assert "off by more than 0.25" in page
    assert "accuracy" not in page.lower().replace("validation_accuracy", "").replace("accuracy 0.9631", "")


def test_columns_that_nothing_was_measured_for_are_left_out(page, tmp_path):
    assert "Copied statistics" not in page
    assert "R²" not in page
    figures = made_up(5)
    for name in ("members", "generated"):
        figures["sets"][name]["with_reference_statistics"] = {"mean": 0.5123, "std": 0.1}
    write_report(tmp_path / "report.html", figures, ABOUT)
    told = (tmp_path / "report.html").read_text("utf-8")
    assert "Copied statistics" in told
    assert "51.23 ± 10.00" in told


def test_without_data_the_page_says_so_and_keeps_the_weights(tmp_path):
    figures = made_up(5) | {"score": None, "bar": None, "test_examples": None}
    kept = ("role", "family", "networks", "distance", "distance_in_tau", "nearest_members_hit", "dispersion")
    figures["sets"] = {name: {k: entry[k] for k in kept} for name, entry in figures["sets"].items()}
    write_report(tmp_path / "report.html", figures, ABOUT)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Without test data, figures of what networks compute are left out." in page
    assert "Distance, τ" in page
    assert "Max-IoU" not in page


def test_a_subset_of_the_training_data_is_stated(page, tmp_path):
    figures = made_up(8) | {"dataset": {"name": "mnist", "train": 6000}}
    write_report(tmp_path / "report.html", figures, {})
    assert "a subset of 6,000 training examples" in (tmp_path / "report.html").read_text()
    assert "subset" not in page
