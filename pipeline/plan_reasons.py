"""Reasons why a stage would run: its parameters, upstream and sources beside those of its last artifact."""

from collections.abc import Mapping
from typing import Any

from pipeline.config import Experiment
from pipeline.keys import KEY_FORMAT, differences, sources
from stages.errors import NotComplete
from stages.store.artifact import last_artifact, work_path
from stages.store.manifest import read_manifest

MAX_NAMED = 6
"""Changed files that a plan names."""


def why(experiment: Experiment, stage: str, key: str, upstream: Mapping[str, Any]) -> str:
    """Why a stage has to run, by comparison with the experiment's last artifact of it."""
    root, params = experiment.store_root, experiment.params(stage)
    last = last_artifact(root, stage, experiment.name)
    if work_path(root, stage, key).exists():
        return "half done: goes on where it stopped"
    if last is None:
        return "never run"
    if last.name == key:
        return "artifact gone"
    try:
        old = read_manifest(last)
    except NotComplete:
        return "something changed since the last run, whose artifact is gone"
    if old.key_format != KEY_FORMAT:
        where = f"{last.parent.name}/{last.name}"
        return f"{where} is of an older key format ({old.key_format}, now {KEY_FORMAT}); made anew"
    reasons = []
    if changed := list(differences(old.params, params.fingerprint())):
        reasons.append("new params: " + ", ".join(changed))
    if changed := [name for name, up in upstream.items() if old.upstream.get(name) != up.key]:
        reasons.append("upstream changed: " + ", ".join(changed))
    if changed := [line.split()[0] for line in differences(old.code, sources(stage, params.modules()))]:
        further = f" and {len(changed) - MAX_NAMED} more" if len(changed) > MAX_NAMED else ""
        reasons.append("code changed: " + ", ".join(changed[:MAX_NAMED]) + further)
    return "; ".join(reasons) or "format changed"
