"""The page that shows an evaluation's figures: one self-contained file, without scripts and without the network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.reporting import sentences
from stages.reporting.drawing import Plot, dig
from stages.reporting.lineage import single_values, stage_row
from stages.reporting.plots import SECTIONS
from stages.reporting.tables import Table, likeness_table, relabelling_table, sets_table
from stages.reporting.wording import score_of

QUESTIONS = {
    "accurate": "Accurate",
    "new": "New",
    "better_than_baselines": "Better than the baselines",
    "indistinguishable": "Indistinguishable from held-out members",
}
Sentence = Callable[[dict[str, Any]], str]
Tabulated = Callable[[dict[str, Any]], Table | None]
LEADS: dict[str, tuple[Sentence, ...]] = {
    "How good and how new": (sentences.gain,),
    "Like trained networks, as a set": (sentences.told_apart, sentences.repeated),
    "In use": (sentences.averaged, sentences.further_training, sentences.pace),
    "The members and their relabelling": (sentences.round_trip, sentences.concentration, sentences.unpermuted),
}
"""What a section says before it shows anything."""
TABLES: dict[str, Tabulated] = {
    "Like trained networks, as a set": likeness_table,
    "The members and their relabelling": relabelling_table,
}


@dataclass(frozen=True)
class Section:
    """A part of the page under its heading."""

    heading: str
    lead: str
    table: Table | None
    drawings: list[tuple[Plot, str]]


def write_report(path: Path, figures: dict[str, Any], about: dict[str, Any]) -> None:
    """Write the page; what `figures` and `about` lack is left out, and equal arguments give equal bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.jinja").render(
        title=about.get("experiment") or dig(figures, "dataset", "name") or "Report",
        subtitle=_subtitle(figures, about),
        verdict=dig(figures, "verdict", "text"),
        badges=_badges(figures),
        sets=sets_table(figures),
        scale=_scale(figures),
        sections=[section for heading, plots in SECTIONS if (section := _section(heading, plots, figures))],
        lineage=[stage_row(entry) for entry in about.get("lineage") or []],
        facts={title: single_values(about.get(title.lower())) for title in ("Hardware", "Versions")},
        config=about.get("config"),
    )
    path.write_text(page, encoding="utf-8")


def _subtitle(figures: dict[str, Any], about: dict[str, Any]) -> list[str]:
    """What was generated, from what, and when."""
    parameters, examples, subset = (
        figures.get("parameters"),
        figures.get("test_examples"),
        dig(figures, "dataset", "train"),
    )
    created = about.get("created")
    found = (
        _network(figures.get("network") or {}),
        f"{parameters:,.0f} parameters" if parameters is not None else "",
        dig(figures, "dataset", "name") or "",
        f"a subset of {subset:,.0f} training examples" if subset is not None else "",
        f"{examples:,.0f} test examples" if examples is not None else "",
        str(created).replace("T", " ").replace("Z", " UTC") if created else "",
    )
    return [part for part in found if part]


def _network(network: dict[str, Any]) -> str:
    widths = "–".join(str(width) for width in network.get("widths") or [])
    return f"{network.get('model') or network.get('kind') or ''} {widths}".strip()


def _badges(figures: dict[str, Any]) -> list[dict[str, str]]:
    """The questions with an answer each; null is its own answer."""
    answers = {True: "yes", False: "no", None: "not measured"}
    return [{"question": q, "answer": answers[dig(figures, "verdict", key)]} for key, q in QUESTIONS.items()]


def _scale(figures: dict[str, Any]) -> str:
    """What the bar and τ are in this evaluation."""
    bar, tau, reached = figures.get("bar"), figures.get("tau"), 1 - (figures.get("bar_quantile") or 0.05)
    score, tolerance = score_of(figures), figures.get("tolerance")
    found = (
        f"The bar is {score.say(bar)}, which {100 * reached:.0f} % of the members reach." if bar is not None else "",
        f"τ is {tau:.4g}, the median L2 distance of a member to the nearest other one." if tau is not None else "",
        f"A prediction counts as a mistake when it is off by more than {tolerance:.4g}, the members' median."
        if tolerance
        else "",
        sentences.drawn(figures),
        "Without test data, figures of what networks compute are left out." if figures.get("score", "") is None else "",
    )
    return " ".join(part for part in found if part)


def _section(heading: str, plots: tuple[Plot, ...], figures: dict[str, Any]) -> Section | None:
    """What there is to say, to tabulate and to draw under a heading; None if nothing."""
    lead = " ".join(told for sentence in LEADS.get(heading, ()) if (told := sentence(figures)))
    table = TABLES[heading](figures) if heading in TABLES else None
    drawings = [(plot, svg) for plot in plots if (svg := plot(figures))]
    return Section(heading, lead, table, drawings) if lead or table or drawings else None
