"""The pages as a browser lays them out: on wide and narrow screens and a phone, in light and in dark."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_figures import RUN, made_up
from PIL import Image

from stages.reporting import sweep_page
from stages.reporting.page import write_page
from stages.reporting.plots import PLOTS
from stages.reporting.sweep_results import PointResults, SweepResults, rows

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium isn't installed; other tests read the HTML"),
]
WIDTHS = (1400, 1200, 1000, 600, 390, 360)
DARK = "--blink-settings=preferredColorScheme=0"
SMALLEST = 4.5
"""Contrast of text, as WCAG 2.2 asks for at level AA."""
MEASURE = """<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">
{frames}<pre id="measured"></pre><script>
const channels = text => (text.match(/[\\d.]+/g) || []).map(Number);
const luminance = rgb => rgb.slice(0, 3).map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
function contrast(element, view) {{
  let opacity = 1, ground = null;
  for (let e = element; e; e = e.parentElement) {{
    const style = view.getComputedStyle(e), back = channels(style.backgroundColor);
    opacity *= Number(style.opacity);
    if (ground === null && back.length && (back.length < 4 || back[3] > 0)) ground = back;
  }}
  const style = view.getComputedStyle(element);
  const ink = channels(element.closest("svg") ? style.fill : style.color);
  const seen = ink.slice(0, 3).map((v, i) => opacity * v + (1 - opacity) * ground[i]);
  const [low, high] = [luminance(seen), luminance(ground)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}}
function measured(frame) {{
  const page = frame.contentDocument, view = frame.contentWindow, all = query => [...page.querySelectorAll(query)];
  const worded = all("body *").filter(e => e.getClientRects().length
    && [...e.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  const faint = worded.map(e => [contrast(e, view), e.textContent.trim().slice(0, 40)]).sort((a, b) => a[0] - b[0]);
  const boxes = all("figure > svg").map(svg => svg.getBoundingClientRect());
  return {{
    width: view.innerWidth, scroll: page.documentElement.scrollWidth, figures: boxes.length,
    smallest: Math.min(...boxes.map(b => b.width), ...boxes.map(b => b.height)),
    letters: Math.min(...all("svg text").map(text => text.getBoundingClientRect().height)),
    beyond: Math.max(0, ...all(".scroll").map(box => box.scrollWidth - box.clientWidth)),
    loose: all("table").filter(t => view.getComputedStyle(t.parentElement).overflowX !== "auto").length,
    tables: all("table").length, faintest: faint[0],
    lost: all("a[href^='#']").filter(a => !page.querySelector(a.getAttribute("href"))).length,
    links: all("nav a").length,
  }};
}}
addEventListener("load", () => {{
  document.getElementById("measured").textContent =
    JSON.stringify([...document.querySelectorAll("iframe")].map(measured));
}});
</script>"""


def chromium(profile: Path, *arguments: str) -> str:
    """What it prints."""
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    alone = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", f"--user-data-dir={profile}"]
    command = ["chromium", *alone, *quiet, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def measure(page: Path, folder: Path, widths: tuple[int, ...], *arguments: str) -> list[dict[str, Any]]:
    """What a page is like in frames of these widths."""
    source = html.escape(page.read_text(encoding="utf-8"))
    frame = '<iframe width="{}" height="800" style="border: 0" srcdoc="{}"></iframe>'
    wrapper = folder / "wrapper.html"
    frames = "".join(frame.format(width, source) for width in widths)
    wrapper.write_text(MEASURE.format(frames=frames), encoding="utf-8")
    dom = chromium(folder / "profile", "--virtual-time-budget=2000", *arguments, "--dump-dom", wrapper.as_uri())
    found = re.search(r'<pre id="measured">([^<]+)</pre>', dom)
    assert found
    return json.loads(html.unescape(found[1]))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(path, made_up(), RUN)
    return path


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    points = [
        PointResults(
            values={"fit.steps": steps},
            keys=dict.fromkeys(("zoo", "evaluate", "report"), 16 * "a"),
            figures={"score": 0.9, "distance_in_tau": 1.0, "accurate": 1.0},
        )
        for steps in (100, 200)
    ]
    facts = {"name": "steps", "about": "", "base": "conf/x.yaml", "set": [], "varied": ["fit.steps"]}
    facts |= {"names": {"fit.steps": "steps"}, "score": "accuracy", "stage_results": 6, "distinct_results": 4}
    path = tmp_path_factory.mktemp("sweep") / "report.html"
    results = SweepResults.model_validate(facts | {"points": points, "rows": rows(["fit.steps"], points)})
    sweep_page.write_page(path, results, "now", {"dwf": "1", "torch": "2"})
    return path


def test_every_figure_is_drawn_and_nothing_overflows_or_is_cut_off(report: Path, tmp_path: Path):
    for width, found in zip(WIDTHS, measure(report, tmp_path, WIDTHS), strict=True):
        assert found["scroll"] <= found["width"] == width
        assert found["figures"] == len(PLOTS)
        assert found["smallest"] > 60
        assert found["letters"] > 7
        assert found["tables"] == 5
        assert found["loose"] == 0, "a table that is wider than the page scrolls in its box"
        assert found["beyond"] == 0 or width < 1000, "on a wider page none is"
        assert found["faintest"][0] >= SMALLEST, found["faintest"]
        assert found["lost"] == 0
        assert found["links"] == 8


def test_in_the_dark_every_word_can_be_read(report: Path, sweep: Path, tmp_path: Path):
    for page in (report, sweep):
        (tmp_path / page.parent.name).mkdir()
        (found,) = measure(page, tmp_path / page.parent.name, (1400,), DARK)
        assert found["faintest"][0] >= SMALLEST, found["faintest"]


def test_a_sweep_s_page_fits_a_phone(sweep: Path, tmp_path: Path):
    wide, narrow = measure(sweep, tmp_path, (1400, 390))
    for found in (wide, narrow):
        assert found["scroll"] <= found["width"]
        assert found["figures"] == 2
        assert found["loose"] == 0
        assert found["faintest"][0] >= SMALLEST, found["faintest"]


@pytest.mark.parametrize(("width", "scheme", "paper"), [(1400, (), 0xFFFFFF), (500, (DARK,), 0x14171B)])
def test_a_picture_of_the_page_shows_it(report: Path, tmp_path: Path, width: int, scheme: tuple[str, ...], paper: int):
    picture = tmp_path / "page.png"
    window = [f"--window-size={width},6000", "--hide-scrollbars", f"--screenshot={picture}"]
    chromium(tmp_path / "profile", *window, *scheme, report.as_uri())
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert pixels.shape == (6000, width, 3)
    ground = np.array([paper >> 16, paper >> 8 & 255, paper & 255])
    drawn = (np.abs(pixels - ground).sum(2) > 60).reshape(6, 1000, width).mean((1, 2))
    assert (drawn > 0.01).all(), "words or figures on every part of it"
    assert (drawn < 0.5).all(), "and the page's own colour between them"
