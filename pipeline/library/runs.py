"""`dwf.run` and `dwf.open`: the dag run from Python, and runs out of a store."""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.config import STORE, Experiment
from pipeline.estimates.check import check, estimates
from pipeline.library.artifacts import artifact_at, made_from
from pipeline.library.experiment import Config, experiment
from pipeline.library.run import Run
from pipeline.runner import Runner, Watch, run_directly
from pipeline.stage_lines import StageLines
from stages.store.manifest import read_manifest
from stages.store.refs import Ref
from stages.trust import trusting


def run(
    config: Config,
    *,
    store: Path | str | None = None,
    data_root: Path | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    trust: Sequence[str] = (),
    progress: bool | Watch = True,
    force: bool = False,
    **sections: Any,
) -> Run:
    """Run the whole dag in this process, from the zoo to the report; stages whose artifacts are there are reused.

    `config` and what is laid over it are as `experiment` takes them: `run("conf/iris_mlp.yaml", fit={"steps": 500},
    device="cpu")`. `store` is the folder of all artifacts, `data_root` that of data sets. `progress` prints lines on
    the standard error stream, or is called with a stage's name, the fraction of it that is done, and a note. `force`
    runs what by estimate needs more disk or memory than is free.

    Raises UsageError for a configuration that is wrong or too large, and DwfError subclasses of the stages; finished
    work is kept, and the same call goes on from there.
    """
    chosen = experiment(config, store=store, data_root=data_root, overrides=overrides, trust=trust, **sections)
    runner = Runner(chosen)
    for line in check(estimates(chosen, runner.plan()), runner.root, force=force):
        warnings.warn(line, UserWarning, stacklevel=2)
    refs: dict[str, Ref] = {}
    with _shown(progress) as lines:

        def done(stage: str, ref: Ref, reused: bool) -> None:
            refs[stage] = ref
            if isinstance(lines, StageLines):
                lines.done(stage, ref, reused)

        runner.watch = lines.watch if isinstance(lines, StageLines) else lines
        run_directly(runner, done)
    return Run(refs, chosen)


@contextmanager
def _shown(progress: bool | Watch) -> Iterator[StageLines | Watch]:
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda stage, share, note: None
    else:
        with StageLines(Console(file=sys.stderr, force_jupyter=False, highlight=False)) as lines:
            yield lines


def open_run(
    artifact: Path | str,
    *,
    store: Path | str = STORE,
    data_root: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    trust: Sequence[str] = (),
) -> Run:
    """The run that an artifact is of, with everything that this one was made from.

    `artifact` is what `dwf show` takes: a path, a stage, `latest`, an experiment, `experiment:stage` or a key's first
    digits, looked up in `store`; or a whole store's path, for what was made last there. `trust` names installed modules
    that its networks may be made by.

    Raises UsageError if there is none, DwfError if something that it was made from is gone.
    """
    path = artifact_at(artifact, Path(store).absolute())
    name = read_manifest(path).experiment
    root = data_root or os.environ.get("DWF_DATA_ROOT") or path.parent.parent / "0_raw"
    with trusting(trust):
        where = Experiment.model_construct(  # its sections are in the artifacts
            name=name,
            store_root=path.parent.parent,
            data_root=Path(root).absolute(),
            device=device,
            threads=threads or os.cpu_count() or 1,
        )
    return Run(made_from(path), where)
