"""The report's page: one self-contained file, without scripts and without the network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from stages.evaluation.figures import Figures, Verdict
from stages.params.network import MLP, Model
from stages.reporting import copying, data_used, definitions, other_generator, sentences
from stages.reporting.downloads import downloads
from stages.reporting.drawing import Plot
from stages.reporting.ensembles_table import ensembles_table
from stages.reporting.glossary import glossary
from stages.reporting.lineage import Run, single_values
from stages.reporting.plots import SECTIONS
from stages.reporting.tables import Table, distribution_table, relabelling_table, sets_table

QUESTIONS = {
    "accurate": "As accurate as held-out members",
    "new": "As new as held-out members",
    "better_than_baselines": "Better than every baseline as far away",
    "indistinguishable": "Not told from held-out members by a classifier",
}
"""The verdict's answers as questions; its fields' descriptions say what is asked exactly."""
LEADS: dict[str, tuple[Callable[[Figures], str], ...]] = {
    "How good and how new": (sentences.gain, copying.nearness, other_generator.copies),
    "Like trained networks, as a set": (sentences.separability, sentences.heldout_distribution, sentences.repetition),
    "In use": (sentences.ensembles, definitions.averages, sentences.further_training),
    "The members and their relabelling": (
        sentences.round_trip,
        definitions.barrier,
        sentences.concentration,
        sentences.unpermuted,
    ),
}
"""What a section says before it shows anything."""
TABLES: dict[str, Callable[[Figures], Table | None]] = {
    "Like trained networks, as a set": distribution_table,
    "In use": ensembles_table,
    "The members and their relabelling": relabelling_table,
}


class Drawing(NamedTuple):
    """A plot, its SVG and its caption."""

    plot: Plot
    svg: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of the page under its heading."""

    heading: str
    id: str
    lead: str
    table: Table | None
    drawings: list[Drawing]


def write_page(path: Path, figures: Figures, run: Run, pictures: Path | None = None) -> None:
    """Write the page; what `figures` and `run` lack is left out, and equal arguments give equal bytes.

    With a folder for `pictures`, each plot is also a PNG there.
    """
    sections = [_section(heading, plots, figures, run, pictures) for heading, plots in SECTIONS]
    page = template("page.html.jinja").render(
        title=title(figures, run),
        subtitle=_subtitle(figures, run),
        warnings=figures.warnings,
        verdict=sentences.verdict(figures),
        badges=_badges(figures),
        sets=sets_table(figures),
        glossary=glossary(figures),
        scale=_scale(figures),
        sections=[section for section in sections if section],
        baselines=definitions.baselines(figures),
        run=run,
        again=_again(run),
        command=command(run),
        facts={
            "Hardware": single_values(run.hardware),
            "Versions": single_values(run.versions),
            "Seeds": {key: str(seed) for key, seed in run.seeds.items()},
        },
        downloads=downloads(figures, run),
    )
    path.write_text(page, encoding="utf-8")


def template(name: str) -> Template:
    """A page's template of this folder."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def slug(heading: str) -> str:
    """A heading as an id."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in heading.lower()).split())


def title(figures: Figures, run: Run) -> str:
    """What a report is called."""
    return run.experiment or (figures.dataset.name if figures.dataset else "Report")


def _again(run: Run) -> str:
    """How to run the same again."""
    there = f"Save {run.file} from the downloads, and run it with the sources of the same revision."
    files = " Where it says what files hold, put where they are." if run.by_content else ""
    return f"{there}{files}"


def command(run: Run) -> str:
    """The commands that run the same again, one a line."""
    commit, _, changes = run.commit.partition(" ")
    version = f"git checkout {commit}" if commit else f"# dwf {run.versions.get('dwf', '')}"
    unknown = f"  # {changes} that no commit has" if changes else ""
    return f"{version}{unknown}\ndwf run {run.file}"


def _subtitle(figures: Figures, run: Run) -> list[str]:
    """What was generated, from what, and when."""
    network, dataset, trained_here = figures.network, figures.dataset, not figures.imported
    widths = "–".join(str(width) for width in network.widths) if isinstance(network, MLP) else ""
    kind = "" if network is None else network.model if isinstance(network, Model) else network.kind
    parts = (
        f"{kind} {widths}".strip(),
        f"{figures.parameters:,.0f} parameters" if figures.parameters is not None else "",
        dataset.name if dataset else "",
        "networks of another generator" if figures.generator else "",
        f"a subset of {dataset.counts[0]:,.0f} training examples"
        if dataset and dataset.counts[0] and trained_here
        else "",
        f"{figures.test_examples:,.0f} test examples" if figures.test_examples is not None else "",
        run.created.replace("T", " ").replace("Z", " UTC"),
    )
    return [part for part in parts if part]


def _badges(figures: Figures) -> list[dict[str, str]]:
    """The questions with an answer each, and what is asked exactly; null is its own answer."""
    answers = figures.verdict.model_dump()
    return [
        {
            "question": question,
            "kind": {True: "yes", False: "no", None: "open"}[answers[key]],
            "answer": sentences.answer_text(answers[key]),
            "meaning": " ".join(str(Verdict.model_fields[key].description).split()),
        }
        for key, question in QUESTIONS.items()
    ]


def _scale(figures: Figures) -> str:
    """What the units of the table are in this evaluation, and what networks were scored on."""
    parts = (
        definitions.bar(figures),
        definitions.tau(figures),
        definitions.tolerance(figures),
        sentences.shared_mistakes(figures),
        sentences.sampled_members(figures),
        data_used.scored_on(figures),
        data_used.inputs(figures),
        other_generator.statistics(figures),
        other_generator.unknown(figures),
        "Without test data, metrics of outputs are left out." if figures.score is None else "",
    )
    return " ".join(part for part in parts if part)


def _section(
    heading: str, plots: tuple[Plot, ...], figures: Figures, run: Run, pictures: Path | None
) -> Section | None:
    """What there is to say, to tabulate and to draw under a heading; None if nothing."""
    texts = [sentence(figures) for sentence in LEADS.get(heading, ())]
    if heading == "In use":
        texts.append(sentences.speed(run.networks_per_minute))
    lead = " ".join(text for text in texts if text)
    table = TABLES[heading](figures) if heading in TABLES else None
    drawings = [
        Drawing(plot, svg, plot.full_caption(figures)) for plot in plots if (svg := plot.svg(figures, pictures))
    ]
    return Section(heading, slug(heading), lead, table, drawings) if lead or table or drawings else None
