"""The audit of exported networks: the evaluation that measured them, if there is one, and each network's own scores."""

from contextlib import suppress
from dataclasses import dataclass

from stages.artifacts.export import Exportable
from stages.errors import NotComplete
from stages.evaluation.figures import Figures, read_figures
from stages.evaluation.metrics.novelty import distance_in_tau
from stages.evaluation.metrics.performance import loss, score
from stages.store.arrays import open_group, read
from stages.store.artifact import FOLDERS
from stages.store.manifest import MANIFEST, Manifest, read_manifest

OWN = {"test_score": score, "test_loss": loss, "distance_in_tau": distance_in_tau}
"""A network's own figures in an evaluation; test scores come from nowhere else."""
RECORDED = ("validation_score", "validation_loss", "train_score", "train_loss")
"""What a zoo knows of its members."""
Scores = dict[str, dict[str, float]]
"""By network, by name of the figure."""


@dataclass(frozen=True)
class Audit:
    """An evaluation of the networks: its manifest, and what it measured."""

    manifest: Manifest
    figures: Figures


def audit_of(networks: Exportable) -> Audit | None:
    """The latest evaluation of a sampled artifact in its store; None where there is none."""
    found: list[Manifest] = []
    for file in (networks.artifact.parents[1] / FOLDERS["evaluate"]).glob(f"*/{MANIFEST}"):
        with suppress(NotComplete):  # one of another format
            manifest = read_manifest(file.parent)
            if manifest.upstream.get("sampled") == networks.manifest.key:
                found.append(manifest)
    if not found:
        return None
    latest = max(found, key=lambda manifest: manifest.created)
    folder = networks.artifact.parents[1] / FOLDERS["evaluate"] / latest.key
    return Audit(latest, read_figures(folder))


def scores_of(networks: Exportable, audit: Audit | None) -> Scores:
    """Each network's own figures: of members what their zoo recorded, of generated ones what was evaluated."""
    store = networks.store
    columns = {name: store.facts(name).tolist() for name in RECORDED if store.has(name)}
    if audit:
        folder = networks.artifact.parents[1] / FOLDERS["evaluate"] / audit.manifest.key
        measured = open_group(folder / "figures.zarr")
        for name, metric in OWN.items():
            if (path := f"generated/{metric.points}") in measured:
                columns[name] = read(measured, path).tolist()
    return {
        network: {name: float(values[row]) for name, values in columns.items() if values[row] == values[row]}
        for row, network in enumerate(store.names)
    }
