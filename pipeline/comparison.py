"""Two artifacts, experiments or configurations compared stage by stage: parameters, code, versions, results."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifact_names import keys, resolve
from pipeline.config import Experiment, load
from pipeline.dag import STAGES
from pipeline.keys import differences, sources
from pipeline.lineage import lineage
from pipeline.runner import Runner
from stages.errors import NotComplete, UsageError
from stages.reporting.summary import FILE as SUMMARY
from stages.reporting.summary import read_summary
from stages.store.artifact import artifact_path, find, read_latest
from stages.store.manifest import read_manifest


@dataclass(frozen=True)
class Made:
    """What an artifact was made from, or what a configuration would make it from; versions are known of artifacts."""

    key: str
    params: Mapping[str, Any]
    code: Mapping[str, str]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Side:
    """One of two things to compare: what each of its stages was made from, in the order of the dag."""

    name: str
    stages: Mapping[str, Made]


@dataclass(frozen=True)
class StageDifference:
    """How a stage differs between two sides: `steps 500 -> 3000`, and files of the code whose meaning changed."""

    stage: str
    keys: tuple[str | None, str | None]
    params: list[str]
    code: list[str]
    versions: list[str]

    @property
    def same(self) -> bool:
        """Whether both sides have the same artifact, by its key."""
        return self.keys[0] == self.keys[1]


@dataclass(frozen=True)
class FigureDifference:
    """A set of networks, and a pair of cells for each figure that the reports of both sides show; None: no such set."""

    name: str
    cells: Mapping[str, tuple[str | None, str | None]]


def side(name: str, root: Path, data: Path | None = None) -> Side:
    """What a name stands for: a configuration by its file, an experiment's latest artifacts, or one with its lineage.

    Raises UsageError or DwfError as `resolve` and `load` do.
    """
    if name.endswith((".yaml", ".yml")):
        return _of_configuration(name, load(Path(name), (), root, data))
    latest = ((stage, key) for stage in STAGES for _, experiment, key in read_latest(root, stage) if experiment == name)
    last = {stage: artifact_path(root, stage, key) for stage, key in latest}
    if last and not Path(name).exists() and name not in STAGES:
        return Side(name, _made(last))
    path = resolve(name, root)
    manifest = read_manifest(path)
    if manifest.stage not in STAGES:
        raise UsageError(f"{name}: a {manifest.stage} has no lineage to compare; name a stage's artifact")
    return Side(f"{manifest.experiment}:{manifest.stage} {manifest.key}", _made(lineage(path)))


def _of_configuration(name: str, experiment: Experiment) -> Side:
    def made(stage: str, key: str, path: Path) -> Made:
        params = experiment.params(stage)
        there = find(experiment.store_root, stage, key)
        versions = read_manifest(path).versions if there else {}
        return Made(key, params.fingerprint(), sources(stage, params.modules()), versions)

    return Side(name, {step.stage: made(step.stage, step.key, step.path) for step in Runner(experiment).plan()})


def _made(artifacts: Mapping[str, Path]) -> dict[str, Made]:
    """What artifacts were made from; those that are gone are left out."""
    made = {}
    for stage, path in artifacts.items():
        try:
            m = read_manifest(path)
        except NotComplete:
            continue
        made[stage] = Made(m.key, m.params, m.code, m.versions)
    return made


def stage_differences(a: Side, b: Side) -> list[StageDifference]:
    """Every stage of either side, and how it differs."""
    return [_difference(stage, a, b) for stage in STAGES if stage in a.stages or stage in b.stages]


def _difference(stage: str, a: Side, b: Side) -> StageDifference:
    old, new = a.stages.get(stage), b.stages.get(stage)
    if old is None or new is None:
        return StageDifference(stage, (old and old.key, new and new.key), [], [], [])
    versions = list(differences(old.versions, new.versions)) if old.versions and new.versions else []
    return StageDifference(
        stage,
        (old.key, new.key),
        params=list(differences(old.params, new.params)),
        code=[line.split()[0] for line in differences(old.code, new.code)],
        versions=[re.sub('"', "", line) for line in versions],
    )


def figure_differences(a: Side, b: Side, root: Path) -> list[FigureDifference]:
    """The tables of both sides' reports side by side; nothing unless both have one below the root."""
    tables = [_table(side, root) for side in (a, b)]
    if not all(tables):
        return []
    old, new = tables
    columns = list(dict.fromkeys(column for table in tables for row in table.values() for column in row))
    return [
        FigureDifference(name, {column: (_cell(old, name, column), _cell(new, name, column)) for column in columns})
        for name in dict.fromkeys([*old, *new])
    ]


def _cell(table: Mapping[str, Mapping[str, str]], name: str, column: str) -> str | None:
    return table.get(name, {}).get(column)


def _table(side: Side, root: Path) -> dict[str, dict[str, str]]:
    """Set of networks -> column -> cell, of the report on a side's evaluation."""
    if "evaluate" not in side.stages or (report := report_of(side.stages["evaluate"].key, root)) is None:
        return {}
    summary = read_summary(report)
    return {row.name: dict(zip(summary.columns, row.cells, strict=True)) for row in summary.rows}


def report_of(key: str, root: Path) -> Path | None:
    """The newest report on an evaluation, or on one that used the artifact with this key; None if there is none."""
    found = []
    for stage, report in keys(root):
        path = artifact_path(root, stage, report)
        if stage == "report" and (path / SUMMARY).is_file():
            manifest = read_manifest(path)
            evaluated = manifest.upstream["evaluated"]
            used: Sequence[str] = [report, evaluated]
            if find(root, "evaluate", evaluated):
                used = [*used, *read_manifest(artifact_path(root, "evaluate", evaluated)).upstream.values()]
            if key in used:
                found.append((manifest.created, path))
    return max(found)[1] if found else None
