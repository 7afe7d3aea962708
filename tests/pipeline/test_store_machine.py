"""A store under random use by two runs, with kills, edits, damage and garbage collection, against a model in memory.

Stages are fakes of one small file, which says what it was made from; the dag, keys, runner, store and gc are real.
"""

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_stages import FILE, content, fake_module
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from smoke import SMOKE

from pipeline import keys, run_records
from pipeline import runner as runner_module
from pipeline.config import Experiment, load
from pipeline.dag import STAGES
from pipeline.gc.garbage import collect
from pipeline.gc.removal import remove
from pipeline.repair import Repair, Repaired, find_stage, runner_of
from pipeline.runner import Runner, run_directly
from stages.errors import Damaged, DwfError, NotComplete
from stages.store import artifact as artifact_module
from stages.store.artifact import artifact_path, find, work_path
from stages.store.manifest import MANIFEST
from stages.store.refs import Ref
from stages.store.verify import require_sound

Item = tuple[str, str]
"""Stage and key."""


class Killed(BaseException):
    """Stands for a kill: nothing in the code catches it."""


@dataclass
class Actor:
    """A run in a thread of its own, which stops half way through its last stage until it is told how to go on."""

    item: Item
    record: str
    thread: threading.Thread
    go_on: threading.Event
    orders: list[str] = field(default_factory=list)


def repair(root: Path, key: str) -> list[Repaired]:
    stage, found = find_stage(root, key)
    return Repair(runner_of(root, stage, found), stage, found).run()


class StoreMachine(RuleBasedStateMachine):
    """Rules are what users and accidents do; whatever happens, a store never says anything that wasn't computed."""

    steps = 0
    """Of all examples."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="store-machine-"))
        self.root = self.folder / "0"
        self.patch = pytest.MonkeyPatch()
        self.versions = dict.fromkeys(STAGES, 0)
        self.parameters = {"fit.steps": 8, "sample.networks": 8}
        self.seconds = 0
        self.expected: dict[Item, str] = {}
        """What every artifact that was ever planned must hold."""
        self.present: set[Item] = set()
        self.damaged: set[Item] = set()
        self.unreadable: set[Item] = set()
        self.records: dict[str, set[Item]] = {}
        """By what was run, the newest last."""
        self.actor: Actor | None = None
        self.patch.setattr(runner_module, "importlib", SimpleNamespace(import_module=self.module))
        for module in (keys, runner_module):
            self.patch.setattr(module, "sources", lambda stage, chosen=(): {f"{stage}.py": str(self.versions[stage])})
        self.patch.setattr(run_records, "now", self.now)

    def module(self, name: str) -> SimpleNamespace:
        return fake_module(name, self.versions)

    def now(self) -> str:
        self.seconds += 1
        return f"2026-01-01T{self.seconds // 3600:02}:{self.seconds // 60 % 60:02}:{self.seconds % 60:02}Z"

    def teardown(self) -> None:
        self.end_actor()
        self.patch.undo()
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        (self.folder / "none").mkdir()

    # What is expected

    def experiment(self) -> Experiment:
        overrides = [*(f"{key}={value}" for key, value in self.parameters.items()), "threads=1", "device=cpu"]
        return load(SMOKE, overrides, self.root)

    def planned(self, experiment: Experiment) -> list[Item]:
        """The stages in order; notes what each must hold, which no other content may ever have the same key for."""
        texts: dict[str, str] = {}
        items = []
        for step in Runner(experiment).steps().values():
            upstream = {name: texts[stage] for name, stage in sorted(step.upstream.items())}
            values = experiment.params(step.stage).fingerprint()
            texts[step.stage] = content(step.stage, values, self.versions[step.stage], upstream)
            assert self.expected.setdefault((step.stage, step.key), texts[step.stage]) == texts[step.stage]
            items.append((step.stage, step.key))
        return items

    def needs(self, item: Item) -> list[Item]:
        """What a planned stage reads."""
        steps = Runner(self.experiment()).steps()
        return [(stage, steps[stage].key) for stage in steps[item[0]].upstream.values()]

    def predicted(self, items: list[Item]) -> tuple[list[tuple[str, bool]], type[DwfError] | None]:
        """What a run of these stages does: each stage and whether it is reused, and the error that ends it."""
        done: list[tuple[str, bool]] = []
        for item in items:
            if item in self.unreadable:
                return done, NotComplete
            if item not in self.present and self.damaged & {*self.needs(item)}:
                return done, Damaged
            done.append((item[0], item in self.present))
        return done, None

    # What users do

    @rule(what=st.sampled_from(["fit.steps", "sample.networks", "pack", "evaluate"]), value=st.integers(8, 9))
    def edit(self, what: str, value: int) -> None:
        """A parameter, or a stage's code."""
        (self.parameters if "." in what else self.versions)[what] = value

    @rule(last=st.sampled_from(STAGES[::-1]), kill=st.none() | st.none() | st.integers(0, 30), publishing=st.booleans())
    def run(self, last: str, kill: int | None, publishing: bool) -> None:
        """To the end, or until it is killed at some sign of progress or before some rename."""
        if kill is None:
            self.run_to_the_end(last)
        else:
            self.run_until_killed(last, kill, publishing)

    def run_to_the_end(self, last: str) -> None:
        experiment = self.experiment()
        items = self.begun(experiment)
        items = items[: [stage for stage, _ in items].index(last) + 1]
        predicted, error = self.predicted(items)
        done: list[tuple[str, bool]] = []
        with pytest.raises(error) if error else nullcontext():
            run_directly(Runner(experiment), lambda stage, ref, reused: done.append((stage, reused)), last)
        assert done == predicted
        self.present |= set(items[: len(done)])

    def run_until_killed(self, last: str, point: int, publishing: bool) -> None:
        experiment = self.experiment()
        items = self.begun(experiment)
        left = iter(range(point, -1, -1))

        def kill(*_: object) -> None:
            if next(left, 0) == 0:
                raise Killed

        runner = Runner(experiment)
        with pytest.MonkeyPatch.context() as patch:
            if publishing:
                rename = artifact_module.os.rename
                patch.setattr(artifact_module.os, "rename", lambda *paths: (kill(), rename(*paths)))
            else:
                runner.watch = kill
            with suppress(Killed, DwfError):
                run_directly(runner, lambda *_: None, last)
        made = {item for item in items if item not in self.unreadable and find(self.root, *item)}
        assert self.present & set(items) - self.unreadable <= made
        self.present |= made

    def begun(self, experiment: Experiment) -> list[Item]:
        """The stages of a run that begins now."""
        items = self.planned(experiment)
        if self.actor and self.actor.item in items:
            self.end_actor()  # it would be waited for
        self.note(items)
        return items

    def note(self, items: list[Item]) -> str:
        name = json.dumps([self.parameters, items], sort_keys=True)
        self.records.pop(name, None)
        self.records[name] = set(items)
        return name

    # What another run does at the same time

    @rule(last=st.sampled_from(STAGES[::-1]), order=st.sampled_from(["finish", "die"]))
    def another(self, last: str, order: str) -> None:
        """Another run begins, or ends."""
        if self.actor:
            self.end_actor(order)
        else:
            self.begin_another(last)

    def begin_another(self, last: str) -> None:
        experiment = self.experiment()
        items = self.planned(experiment)
        items, every = items[: [stage for stage, _ in items].index(last) + 1], items
        if items[-1] in self.present or self.predicted(items)[1]:
            return
        record = self.note(every)
        half_way, go_on, orders = threading.Event(), threading.Event(), list[str]()

        def watch(stage: str, share: float, note: str) -> None:
            del share
            if (stage, note) == (last, "half"):
                half_way.set()
                go_on.wait(60)
                if "die" in orders:
                    raise Killed

        def run() -> None:
            with suppress(Killed):
                run_directly(Runner(experiment, watch), lambda *_: None, last)

        thread = threading.Thread(target=run)
        thread.start()
        assert half_way.wait(60)
        self.present |= set(items[:-1])
        self.actor = Actor(items[-1], record, thread, go_on, orders)

    def end_actor(self, order: str = "finish") -> None:
        if self.actor is None:
            return
        self.actor.orders.append(order)
        self.actor.go_on.set()
        self.actor.thread.join(60)
        assert not self.actor.thread.is_alive()
        if order == "finish":
            self.present.add(self.actor.item)
        self.actor = None

    # What happens to stores

    @precondition(lambda self: self.present)
    @rule(data=st.data(), how=st.sampled_from(["flip", "delete", "truncate", "unlink", "manifest"]))
    def harm(self, data: st.DataObject, how: str) -> None:
        """One of the artifacts, most likely one that the next run would use."""
        used = self.present.intersection(self.planned(self.experiment()))
        self.harm_one(data.draw(st.sampled_from(sorted(used or self.present))), how)

    def harm_one(self, item: Item, how: str) -> None:
        path = artifact_path(self.root, *item)
        file = path / (MANIFEST if how == "manifest" else FILE)
        harmed = bytearray(file.read_bytes())
        harmed[len(harmed) // 2] ^= 1
        if how == "delete":
            shutil.rmtree(path)
        elif how == "unlink":
            file.unlink()
        else:
            file.write_bytes(harmed[:-1] if how == "truncate" else harmed)
        if how != "flip":
            self.forget({item})
        if how == "flip":
            self.damaged ^= {item}  # flipped twice, a bit is what it was
        if how == "manifest":
            self.unreadable.add(item)

    @precondition(lambda self: self.damaged | self.unreadable)
    @rule(data=st.data())
    def heal(self, data: st.DataObject) -> None:
        """As an error says: delete it, so that the next run makes it again."""
        item = data.draw(st.sampled_from(sorted(self.damaged | self.unreadable)))
        shutil.rmtree(artifact_path(self.root, *item))
        self.forget({item})

    @precondition(lambda self: self.damaged | self.unreadable)
    @rule(data=st.data())
    def repair(self, data: st.DataObject) -> None:
        """As an error says; possible while a record of a run says how, and its code is what it was."""
        item = data.draw(st.sampled_from(sorted(self.damaged | self.unreadable)))
        names = [name for name, items in self.records.items() if item in items]
        now, self.parameters = self.parameters, json.loads(names[-1])[0] if names else self.parameters
        items = self.planned(self.experiment()) if names else []
        if item in items:
            self.begun(self.experiment())
            repaired = {(done.stage, done.key) for done in repair(self.root, item[1])}
            assert (self.damaged | self.unreadable) & set(items[: items.index(item) + 1]) <= repaired
            self.present |= repaired
            self.damaged -= repaired
            self.unreadable -= repaired
        else:
            with pytest.raises(DwfError, match=r"no record of a run|can't be made anew"):
                repair(self.root, item[1])
        self.parameters = now

    @rule()
    def move_the_store(self) -> None:
        self.end_actor()
        if self.root.exists():
            self.root = self.root.rename(self.folder / str(int(self.root.name) + 1))

    @rule(keep_runs=st.sampled_from([3, 2, 1, 0]))
    def collect_garbage(self, keep_runs: int) -> None:
        half_done = {item for item in self.expected if work_path(self.root, *item).exists()}
        garbage = collect(self.root, [self.folder / "none"], keep_runs)
        remove(self.root, garbage, keep_runs)
        names = list(self.records)
        kept_names = {*(names[-keep_runs:] if keep_runs else []), *([self.actor.record] if self.actor else [])}
        self.records = {name: items for name, items in self.records.items() if name in kept_names}
        kept = set[Item]().union(*self.records.values())
        gone = {item for item in self.present | self.unreadable if item not in kept}
        assert not any(artifact_path(self.root, *item).exists() for item in gone)
        self.forget(gone)
        still = {item for item in self.expected if work_path(self.root, *item).exists()}
        assert still == {item for item in half_done if item in kept - self.present}

    def forget(self, items: set[Item]) -> None:
        for kind in (self.present, self.damaged, self.unreadable):
            kind -= items

    # What always holds

    @invariant()
    def every_artifact_is_what_was_computed(self) -> None:
        type(self).steps += 1
        for item in self.expected:
            if item in self.unreadable:
                continue
            found = find(self.root, *item)
            assert (found is not None) == (item in self.present), item
            if found and item not in self.damaged:
                assert (found.path / FILE).read_text() == self.expected[item]
                require_sound(found.path)


FEW = settings(max_examples=8, stateful_step_count=25, suppress_health_check=list(HealthCheck))


def test_two_hundred_steps():
    run_state_machine_as_test(StoreMachine, settings=FEW)


@pytest.mark.survey
def test_ten_thousand_steps():
    StoreMachine.steps = 0
    many = settings(FEW, max_examples=400, stateful_step_count=50, derandomize=False, database=None, print_blob=True)
    run_state_machine_as_test(StoreMachine, settings=many)
    assert StoreMachine.steps >= 10_000


def _only_the_manifest(root: Path, stage: str, key: str) -> Ref | None:
    path = artifact_path(root, stage, key)
    return Ref(stage=stage, key=key, path=path, digest="") if (path / MANIFEST).exists() else None


@pytest.fixture
def machine() -> Iterator[StoreMachine]:
    machine = StoreMachine()
    machine.begin()
    yield machine
    machine.teardown()


def test_the_machine_notices_a_gc_that_takes_what_a_run_needs(machine: StoreMachine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.gc.reached.running", lambda root: set())
    machine.begin_another("sample")
    machine.every_artifact_is_what_was_computed()
    machine.collect_garbage(0)
    with pytest.raises(AssertionError):
        machine.every_artifact_is_what_was_computed()


def test_the_machine_notices_a_run_that_takes_half_an_artifact(machine: StoreMachine, monkeypatch: pytest.MonkeyPatch):
    machine.run_to_the_end("pack")
    machine.harm_one(next(item for item in machine.present if item[0] == "pack"), "truncate")
    monkeypatch.setattr("pipeline.runner.find", _only_the_manifest)
    with pytest.raises(AssertionError):
        machine.run_to_the_end("pack")


def test_the_machine_notices_a_stage_that_trusts_a_damaged_artifact(
    machine: StoreMachine, monkeypatch: pytest.MonkeyPatch
):
    machine.run_to_the_end("fit")
    machine.harm_one(next(item for item in machine.present if item[0] == "pack"), "flip")
    machine.edit("fit.steps", 9)
    machine.run_to_the_end("fit")  # and is refused
    monkeypatch.setattr("fake_stages.read_sealed", Path.read_bytes)
    with pytest.raises(pytest.fail.Exception):
        machine.run_to_the_end("fit")
