"""`dwf ls`, `dwf show`, `dwf verify` and `dwf export`: what lies in the store."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import Artifact, Store, complete_artifact, complete_stage, store_root, trusts
from pipeline.commands.terminal import Terminal, command
from stages.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from stages.store.manifest import Manifest


@command
def ls(
    terminal: Terminal,
    stages: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STAGE]...", help="Only of these stages.", autocompletion=complete_stage),
    ] = None,
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="Only of this experiment.")] = None,
    store: Store = None,
) -> None:
    """List the artifacts in the store by experiment: stage, key, age, size, and what isn't complete; sizes by stage."""
    from pipeline.listing import by_experiment, listing, sizes
    from stages.store.artifact import FOLDERS

    root = store_root(store)
    if unknown := [stage for stage in stages or () if stage not in FOLDERS]:
        near = did_you_mean(unknown[0], FOLDERS)
        raise UsageError(f"{unknown[0]!r} is no stage{near}; expected some of {', '.join(FOLDERS)}")
    groups = by_experiment(listing(root, stages or tuple(FOLDERS)))
    if experiment is not None:
        if experiment not in groups:
            near = did_you_mean(experiment, groups)
            raise UsageError(f"{experiment}: no artifact of such an experiment below {root}{near}")
        groups = {experiment: groups[experiment]}
    every = list({artifact.path: artifact for group in groups.values() for artifact in group}.values())
    if not (terminal.json or terminal.quiet):
        from pipeline.console import human_size, listing_tables

        terminal.say(*(listing_tables(groups) if groups else (f"no artifacts below {root}",)))
        parts = [f"{stage} {human_size(size)}" for stage, size in sizes(every).items()]
        if parts:
            terminal.say(f"{human_size(sum(artifact.size for artifact in every))} in all: {', '.join(parts)}")
    terminal.give(every, [artifact.path.name for artifact in every])


@command
def show(terminal: Terminal, artifact: Artifact, store: Store = None) -> None:
    """Print an artifact: lineage, parameters, size, the tree of arrays with chunks, codecs, sizes and statistics."""
    from pipeline.artifact_names import resolve
    from stages.store.inspect import contents_of, describe

    contents = contents_of(resolve(artifact, store_root(store)))
    terminal.say(*describe(contents))
    terminal.give(contents, [contents.path])


@command
def verify(
    terminal: Terminal,
    artifact: Artifact,
    store: Store = None,
    deep: Annotated[bool, typer.Option("--deep", help="Also everything that it was made from.")] = False,
) -> None:
    """Recompute every digest of an artifact; name the files that are changed, truncated, missing or swapped."""
    from pipeline.artifact_names import resolve
    from pipeline.console import human_size
    from pipeline.lineage import require_sound_lineage
    from stages.store.verify import require_sound

    path = resolve(artifact, store_root(store))
    with terminal.busy(f"reading {path}"):
        manifests = require_sound_lineage(path) if deep else {path: require_sound(path)}
    *lineage, found = [_sound(path, manifest) for path, manifest in manifests.items()]
    for part in (*lineage, found):
        about = f"{part.files} files, {human_size(part.size)}, sound; digest {part.digest}"
        terminal.say(f"{part.stage} {part.key}: {about}")
    terminal.give(replace(found, lineage=tuple(lineage)))


@dataclass(frozen=True)
class Sound:
    """An artifact in which nothing is wrong and, if that was asked for, those that it was made from."""

    stage: str
    key: str
    path: Path
    files: int
    size: int
    digest: str
    sound: bool = True
    lineage: tuple["Sound", ...] = ()


def _sound(path: Path, manifest: "Manifest") -> Sound:
    size = sum(facts.size for facts in manifest.files.values())
    return Sound(manifest.stage, manifest.key, path, len(manifest.files), size, manifest.digest)


@command
@trusts
def export(
    terminal: Terminal,
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="A sampled artifact, or `sample` for the latest.",
            autocompletion=complete_artifact,
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
    networks: Annotated[
        list[str] | None, typer.Option("--network", metavar="NAME", help="One network, or further ones; else all.")
    ] = None,
    hub: Annotated[bool, typer.Option("--hub", help="A folder per network, as model hubs want it.")] = False,
    onnx: Annotated[
        Path | None, typer.Option("--onnx", metavar="FILE", help="Also their ensemble, as one ONNX file.")
    ] = None,
    store: Store = None,
) -> None:
    """Write each generated network as a .safetensors file that plain torch loads, with a card of how good they are."""
    from pipeline.artifact_names import resolve

    with terminal.busy("writing networks"):
        from stages.exporting.ensemble import export_ensemble
        from stages.exporting.folders import export_files, export_hub

        path, names = resolve(artifact, store_root(store), ("sample",)), networks or []
        count = (export_hub if hub else export_files)(path, folder, names)
        together = export_ensemble(path, onnx, names) if onnx else 0
    terminal.say(f"{count} networks written to {folder}")
    document: dict[str, object] = {"artifact": path, "folder": folder.absolute(), "networks": count}
    if onnx:
        terminal.say(f"the ensemble of {together} networks written to {onnx}")
        document["ensemble"] = onnx.absolute()
    terminal.give(document, [folder, *([onnx] if onnx else [])])
