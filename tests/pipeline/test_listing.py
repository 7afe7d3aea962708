"""The list of artifacts: whose they are, and what is wrong with those that aren't complete."""

from pathlib import Path

from smoke import Done

from pipeline.dag import STAGES
from pipeline.listing import UNNAMED, by_experiment, listing
from stages.store.artifact import FOLDERS, note_latest
from stages.store.manifest import MANIFEST


def test_every_artifact_is_listed_in_the_order_of_the_dag(finished: tuple[Path, Done]):
    found = listing(finished[0])
    assert [a.stage for a in found] == list(STAGES)
    assert all(a.complete and a.latest_of == ("smoke",) and a.size > 0 for a in found)
    assert [a.key for a in listing(finished[0], ["fit"])] == [finished[1]["fit"][0].key]


def test_what_is_damaged_or_half_done_says_so(store: Path):
    fit, sample, pack = (listing(store, [stage])[0].path for stage in ("fit", "sample", "pack"))
    (fit / "velocity.safetensors").unlink()
    (sample / MANIFEST).write_text("{}")
    pack.rename(pack.with_suffix(".partial"))
    states = {a.stage: (a.complete, a.problem, a.experiment) for a in listing(store, ["fit", "sample", "pack"])}
    assert states["fit"] == (False, "files are missing or truncated", "smoke")
    assert states["pack"] == (False, "half done", UNNAMED)
    assert not states["sample"][0]
    assert "found format version None" in states["sample"][1]


def test_a_shared_artifact_stands_with_everyone_who_uses_it(store: Path):
    note_latest(store, "zoo", "other", listing(store, ["zoo"])[0].key)
    (store / FOLDERS["fit"] / "dead111122223333.partial").mkdir()
    groups = by_experiment(listing(store))
    assert set(groups) == {"smoke", "other", UNNAMED}
    assert [a.stage for a in groups["other"]] == ["zoo"]
    assert len(groups["smoke"]) == len(STAGES)
    assert [a.problem for a in groups[UNNAMED]] == ["half done"]


def test_no_store_is_an_empty_list(tmp_path: Path):
    assert listing(tmp_path / "nowhere") == []
    assert by_experiment([]) == {}
