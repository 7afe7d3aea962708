"""Repair: exactly what is damaged or needed is made anew, with the old digest, or it is said why not."""

import json
import shutil

import pytest
from smoke import SMOKE, run_smoke

from pipeline.config import load
from pipeline.lineage import damages
from pipeline.repair import Repair, find_stage, runner_of
from pipeline.run_records import RUNS
from pipeline.runner import Runner
from stages.errors import DwfError, UsageError
from stages.store.manifest import MANIFEST, seal_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run_smoke(tmp_path_factory.mktemp("made") / "store")


@pytest.fixture
def store(made, tmp_path):
    """A copy of a store with a whole run in it: its root, and the artifacts' references by stage."""
    root = made["zoo"][0].path.parents[1]
    shutil.copytree(root, tmp_path / "store")
    moved = {
        s: ref.model_copy(update={"path": tmp_path / "store" / ref.path.relative_to(root)})
        for s, (ref, _) in made.items()
    }
    return tmp_path / "store", moved


def flip(file):
    content = bytearray(file.read_bytes())
    content[-9] ^= 4
    file.write_bytes(content)


def repair(root, name):
    stage, key = find_stage(root, name)
    return Repair(runner_of(root, stage, key), stage, key).run()


def times(refs):
    return {stage: (ref.path / MANIFEST).stat().st_mtime_ns for stage, ref in refs.items() if ref.path.exists()}


def test_a_sound_artifact_is_left_alone(store):
    root, refs = store
    before = times(refs)
    assert repair(root, "report") == []
    assert times(refs) == before


def test_damage_upstream_is_mended_where_it_is_and_nowhere_else(store):
    root, refs = store
    flip(refs["fit"].path / "velocity.safetensors")
    flip(refs["canonicalize"].path / "alignment.zarr" / "reference" / "c" / "0")
    before = times(refs)
    repaired = repair(root, refs["evaluate"].key)
    assert [(done.stage, done.verdict) for done in repaired] == [
        ("canonicalize", "the same digest"),
        ("fit", "the same digest"),
    ]
    assert "velocity.safetensors: changed" in repaired[1].problems[0]
    assert {stage for stage, time in times(refs).items() if time != before[stage]} == {"canonicalize", "fit"}
    assert not any(damages(refs["report"].path).values())


def test_sound_shards_of_a_zoo_are_kept(store):
    root, refs = store
    shards = refs["zoo"].path / "shards"
    flip(shards / "0001.zarr" / "weights" / "c" / "0" / "0")
    kept, made_anew = (shards / name / "weights" / "c" / "0" / "0" for name in ("0000.zarr", "0001.zarr"))
    before = kept.stat().st_mtime_ns, made_anew.stat().st_mtime_ns
    assert [done.verdict for done in repair(root, "zoo")] == ["the same digest"]
    assert kept.stat().st_mtime_ns == before[0]
    assert made_anew.stat().st_mtime_ns != before[1]


def test_what_is_gone_is_made_anew_by_its_key_with_what_that_needs(store):
    root, refs = store
    for stage in ("zoo", "canonicalize", "pack"):
        shutil.rmtree(refs[stage].path)
    repaired = repair(root, refs["canonicalize"].key[:8])
    assert [(done.stage, done.problems, done.verdict) for done in repaired] == [
        ("zoo", ("missing",), "the same digest"),
        ("canonicalize", ("missing",), "the same digest"),
    ]
    assert not refs["pack"].path.exists()


def test_what_is_gone_upstream_of_a_sound_artifact_is_not_missed(store):
    root, refs = store
    shutil.rmtree(refs["zoo"].path)
    assert repair(root, "pack") == []
    assert not refs["zoo"].path.exists()


@pytest.mark.parametrize("text", [b"", b"{", b"\xff"])
def test_a_lost_manifest_is_made_anew_and_others_remember_the_digest(store, text):
    root, refs = store
    (refs["fit"].path / MANIFEST).write_bytes(text)
    (done,) = repair(root, "fit")
    assert (done.before, done.verdict) == (refs["fit"].digest, "the same digest")


def test_if_nothing_remembers_the_digest_that_is_said(store):
    root, refs = store
    (refs["report"].path / MANIFEST).write_bytes(b"{")
    (done,) = repair(root, "report")
    assert done.verdict == "what its digest was isn't known"


def test_another_digest_is_said(store):
    """As after a repair on other hardware."""
    root, refs = store
    file = refs["fit"].path / MANIFEST
    fields = json.loads(file.read_text()) | {"digest": "0" * 64}
    file.write_text(json.dumps(fields | {"seal": seal_of(fields)}))
    flip(refs["fit"].path / "velocity.safetensors")
    (done,) = repair(root, "fit")
    assert done.verdict.startswith(f"another digest, {refs['fit'].digest[:12]} instead of 000000000000")


def test_without_a_record_a_configuration_is_asked_for(store):
    root, refs = store
    shutil.rmtree(root / RUNS)
    flip(refs["fit"].path / "velocity.safetensors")
    with pytest.raises(DwfError, match=f"no record of a run that made it.*`dwf repair {refs['fit'].key} CONFIG`"):
        repair(root, "fit")
    (done,) = Repair(Runner(load(SMOKE, (), root)), "fit", refs["fit"].key).run()
    assert done.verdict == "the same digest"


def test_what_would_be_another_artifact_is_refused(store):
    root, refs = store
    flip(refs["fit"].path / "velocity.safetensors")
    runner = Runner(load(SMOKE, ("fit.steps=61",), root))
    with pytest.raises(DwfError, match=r"fit .* can't be made anew as it was \(new params: steps"):
        Repair(runner, "fit", refs["fit"].key).run()


def test_only_artifacts_of_stages_are_repaired(store):
    root, _ = store
    (root / "8_sweeps" / "abcd1234").mkdir(parents=True)
    with pytest.raises(UsageError, match="expected an artifact of a stage"):
        find_stage(root, "abcd1234")


def test_the_command_says_what_was_wrong_and_whether_it_is_the_same(store, dwf):
    root, refs = store
    flip(refs["sample"].path / "weights.zarr" / "weights" / "c" / "0" / "0")
    code, _, error = dwf("stage", "evaluate", SMOKE, "--set", "evaluate.baseline_networks=7", "--store", root, "-q")
    assert code == 1
    assert f"`dwf repair {refs['sample'].key}` makes it anew" in error
    code, out, _ = dwf("repair", refs["sample"].key, "--store", root)
    assert code == 0
    assert "weights.zarr/weights/c/0/0: changed" in out
    assert "made anew: the same digest" in out
    code, out, _ = dwf("repair", "sample", "--store", root)
    assert "sound, as is everything that it was made from" in out
    code, out, _ = dwf("verify", "report", "--deep", "--json", "--store", root)
    assert len(json.loads(out)["lineage"]) == 6
