"""Model cards: what exported networks are, how they are loaded, and what their audit found, as README.md."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from stages.artifacts.export import Exportable
from stages.exporting.audit import Audit
from stages.params.dataset import Images
from stages.params.network import Model
from stages.reporting import copying, data_used, definitions, sentences
from stages.reporting.tables import sets_table

SOURCE = "[arXiv 2601.05052](https://arxiv.org/abs/2601.05052)"


def model_card(
    networks: Exportable, audit: Audit | None, names: list[str], snippet: str, own: Mapping[str, float]
) -> str:
    """A card of these networks; `own` are the figures of one network, if the card is of one alone."""
    parts = [
        f"---\n{yaml.safe_dump(_front_matter(networks, audit, names, own), sort_keys=False)}---",
        f"# {networks.manifest.experiment or 'Networks'}",
        _origin(networks, names),
        "## Load",
        f"```python\n{snippet}\n```",
        _inputs(networks),
        "## Audit",
        *_audit(audit, own),
        "## Lineage",
        "\n".join(_lineage(networks, audit)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(
    networks: Exportable, audit: Audit | None, names: list[str], own: Mapping[str, float]
) -> dict[str, Any]:
    """What a hub reads: library, tags, data, and the results of the one network or the mean of all."""
    network, dataset = networks.network, networks.dataset
    timm = isinstance(network, Model) and network.model.startswith("timm:")
    matter: dict[str, Any] = {"library_name": "timm" if timm else "pytorch", "tags": ["dwf", "weight-space"]}
    if isinstance(dataset, Images):
        matter["pipeline_tag"] = "image-classification"
    if dataset is None:
        return matter
    matter["datasets"] = [dataset.name]
    if audit and audit.figures.score and "generated" in audit.figures.sets:
        value = own.get("test_score", _mean_score(audit))
        task = "image-classification" if isinstance(dataset, Images) else "other"
        result = {
            "task": {"type": task},
            "dataset": {"name": dataset.name, "type": dataset.name, "split": "test"},
            "metrics": [{"type": audit.figures.score, "value": value}],
        }
        name = names[0] if len(names) == 1 else networks.manifest.experiment or "networks"
        matter |= {"metrics": [audit.figures.score], "model-index": [{"name": name, "results": [result]}]}
    return matter


def _mean_score(audit: Audit) -> float | None:
    scores = sentences.score.of(audit.figures.sets["generated"])
    return scores.mean if scores else None


def _origin(networks: Exportable, names: list[str]) -> str:
    """What the networks are, by the stage that they are of."""
    count = f"{len(names):,} networks" if len(names) != 1 else f"`{names[0]}`"
    if networks.manifest.stage != "sample":
        return f"{count} of a zoo of trained networks, in canonical form."
    if "fitted" not in networks.manifest.upstream:
        return f"{count} of another generator, in canonical form, audited by dwf."
    verb = "was" if len(names) == 1 else "were"
    return f"{count} {verb} drawn from a flow over the weights of trained networks ({SOURCE}), not trained."


def _inputs(networks: Exportable) -> str:
    inputs = networks.facts["inputs"]
    return f"Inputs, of a value x of {networks.dataset.name}: `{inputs}`." if networks.dataset and inputs else ""


def _audit(audit: Audit | None, own: Mapping[str, float]) -> Iterator[str]:
    """The verdict, the table of all sets and what its columns mean, as the report has them."""
    if own:
        yield "This network: " + ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in own.items()) + "."
    if audit is None:
        yield "These networks were not evaluated: how good and how new they are isn't known."
        return
    figures = audit.figures
    yield from (f"**Warning:** {warning}" for warning in figures.warnings)
    yield sentences.verdict(figures)
    if table := sets_table(figures, brief=True):
        headings = ["Set", *(heading for heading, _ in table.columns)]
        rows = [[row.name, *row.cells] for row in table.rows]
        lines = [headings, ["---"] + ["---:"] * len(table.columns), *rows]
        yield "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    further = (
        copying.nearness(figures),
        definitions.bar(figures),
        definitions.tau(figures),
        data_used.scored_on(figures),
    )
    yield " ".join(text for text in further if text)


def _lineage(networks: Exportable, audit: Audit | None) -> Iterator[str]:
    """Keys and versions."""
    yield f"- {networks.manifest.stage} `{networks.manifest.key}`"
    yield from (f"- {name} `{key}`" for name, key in networks.manifest.upstream.items())
    if audit:
        yield f"- evaluated `{audit.manifest.key}`"
    yield f"- {', '.join(f'{name} {version}' for name, version in networks.manifest.versions.items())}"
