"""Repair: an artifact, and what it was made from, made anew where damaged, as the record of a run says."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.artifact_names import LEAST_DIGITS, resolve
from pipeline.dag import STAGES
from pipeline.plan_reasons import why
from pipeline.run_records import records
from pipeline.runner import UNITS, Runner, Step
from stages.errors import DwfError, NotComplete, UsageError
from stages.store.artifact import FOLDERS, artifact_path
from stages.store.manifest import MANIFEST, read_manifest
from stages.store.refs import Ref
from stages.store.verify import verify, wrong_files


@dataclass(frozen=True)
class Repaired:
    """An artifact that was made anew: what was wrong, its digest before, None if nothing tells it, and now."""

    stage: str
    key: str
    path: Path
    problems: tuple[str, ...]
    before: str | None
    digest: str

    @property
    def verdict(self) -> str:
        """Whether its content is what it was."""
        if self.before is None:
            return "what its digest was isn't known"
        if self.before == self.digest:
            return "the same digest"
        return (
            f"another digest, {self.digest[:12]} instead of {self.before[:12]}: other hardware, libraries or threads; "
            "`dwf verify --deep` names what was made from the old one"
        )


def find_stage(root: Path, name: str) -> tuple[str, str]:
    """The stage and the key of an artifact, by a name that `resolve` knows or the digits of one that is gone.

    Raises UsageError or DwfError as `resolve` does.
    """
    if re.fullmatch(rf"[0-9a-f]{{{LEAST_DIGITS},}}", name):
        known = {item for record in records(root) for item in record.keys if item[1].startswith(name)}
        if len(known) == 1:
            return known.pop()
    path = resolve(name, root, STAGES)
    stage = next((stage for stage, folder in FOLDERS.items() if folder == path.parent.name), None)
    if stage not in STAGES:
        raise UsageError(f"{name}: expected an artifact of a stage, found {path}")
    return stage, path.name


def runner_of(root: Path, stage: str, key: str) -> Runner:
    """The runner of the last recorded run with this artifact.

    Raises DwfError if there is no record of one.
    """
    runs = (run for record in records(root) for run in record.runs if run.keys.get(stage) == key)
    if (run := next(runs, None)) is None:
        raise DwfError(
            f"{stage} {key}: no record of a run that made it; name its configuration: `dwf repair {key} CONFIG`"
        )
    return Runner(run.experiment(root))


@dataclass
class Repair:
    """The repair of one artifact of an experiment; `repaired` has what was made anew, in the dag's order."""

    runner: Runner
    stage: str
    key: str
    steps: dict[str, Step] = field(default_factory=dict)
    sound: dict[str, Ref] = field(default_factory=dict)
    repaired: list[Repaired] = field(default_factory=list)

    def run(self) -> list[Repaired]:
        """Make anew whatever is damaged, and what is missing if it is needed for that.

        Raises DwfError if the sources, the data or the libraries aren't those of the artifact any more.
        """
        self.steps = self.runner.steps()
        self._require_same_key()
        before = list(self.steps)[: list(self.steps).index(self.stage)]
        with self.runner.recorded():
            for stage in before:
                if self._path(stage).exists():
                    self._made(stage)
            self._made(self.stage)
        return self.repaired

    def _require_same_key(self) -> None:
        step = self.steps.get(self.stage)
        if step is None or step.key != self.key:
            upstream = {name: self.steps[stage] for name, stage in step.upstream.items()} if step else {}
            reason = why(self.runner.experiment, self.stage, step.key, upstream) if step else "no such stage"
            raise DwfError(
                f"{self.stage} {self.key}: can't be made anew as it was ({reason}); bring back what it was made with, "
                "or run its configuration for a new one"
            )

    def _path(self, stage: str) -> Path:
        return artifact_path(self.runner.root, stage, self.steps[stage].key)

    def _made(self, stage: str) -> Ref:
        """The stage's sound artifact, made anew if it isn't."""
        if stage not in self.sound:
            step, path = self.steps[stage], self._path(stage)
            digest, problems = _state(path)
            if problems:
                upstream = {name: self._made(other) for name, other in step.upstream.items()}
                before = digest or _remembered_digest(self.runner.root, step.key)
                ref = self.runner.rebuild(stage, upstream, lambda work: _keep_sound_units(stage, path, work))
                self.repaired.append(Repaired(stage, step.key, path, tuple(problems), before, ref.digest))
            else:
                assert digest
                ref = Ref(stage=stage, key=step.key, path=path, digest=digest)
            self.sound[stage] = ref
        return self.sound[stage]


def _state(path: Path) -> tuple[str | None, list[str]]:
    """The digest that an artifact had when it was written, if that is known, and what is wrong with it."""
    try:
        manifest, problems = verify(path)
    except NotComplete as error:
        return None, [str(error) if path.exists() else "missing"]
    return manifest.digest, problems


def _remembered_digest(root: Path, key: str) -> str | None:
    """The digest of an artifact as those have it that were made from it."""
    return next(_digests_of(root, key), None)


def _digests_of(root: Path, key: str) -> Iterator[str]:
    for stage in STAGES:
        for file in (root / FOLDERS[stage]).glob(f"*/{MANIFEST}"):
            try:
                manifest = read_manifest(file.parent)
            except NotComplete:
                continue
            names = [name for name, up in manifest.upstream.items() if up == key]
            yield from (manifest.upstream_digests[name] for name in names if name in manifest.upstream_digests)


def _keep_sound_units(stage: str, path: Path, work: Path) -> None:
    """Copy what is sound of a stage that consists of units, each a store, to where it goes on from."""
    try:
        wrong = wrong_files(path, read_manifest(path)) if stage in UNITS else {}
    except NotComplete:
        return
    if not wrong:  # of other stages, or stores whose values differ although no file does
        return
    for store in path.rglob("*.zarr"):
        name = store.relative_to(path)
        if not any(Path(file).is_relative_to(name) for file in wrong):
            shutil.copytree(store, work / name)
