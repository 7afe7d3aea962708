"""The choice of members: whole runs on one side each, the same for the same seed, and as before without runs."""

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.errors import UsageError
from stages.members.choice import choose
from stages.params.checkpoints import ImportedZoo
from stages.params.facts import Facts
from stages.seeds import generator


@dataclass(frozen=True)
class Network:
    name: str
    facts: Facts = field(default_factory=dict, hash=False)


def networks(runs: list[int]) -> list[Network]:
    return [Network(f"{run}/{i}", {"run": float(run)}) for i, run in enumerate(runs)]


def params(**changes) -> ImportedZoo:
    values = {"source": "checkpoints", "files": "a", "network": {"kind": "mlp", "widths": [2, 2]}, "heldout": 2}
    return ImportedZoo.model_validate(values | changes)


def test_without_runs_it_is_a_random_choice_of_so_many():
    every = networks(list(range(9)))
    order = torch.randperm(9, generator=generator(3, "split")).tolist()
    expected = [every[i] for i in sorted(order[:5]) + sorted(order[5:7])]
    assert choose(every, params(members=5, seed=3), "there are") == expected


@given(
    runs=st.lists(st.integers(0, 5), min_size=12, max_size=40).filter(lambda runs: len(set(runs)) > 3),
    heldout=st.integers(2, 4),
    seed=st.integers(0, 99),
)
def test_no_run_is_on_both_sides(runs, heldout, seed):
    every = networks(runs)
    p = params(group="run", heldout=heldout, seed=seed)
    try:
        chosen = choose(every, p, "there are")
    except UsageError:
        return  # the first runs drawn left too few
    sides = [{network.facts["run"] for network in side} for side in (chosen[:-heldout], chosen[-heldout:])]
    assert not sides[0] & sides[1]
    assert len(set(chosen)) == len(chosen)
    assert chosen == choose(every, p, "there are")
    for side in (chosen[:-heldout], chosen[-heldout:]):
        assert [every.index(network) for network in side] == sorted(every.index(network) for network in side)


def test_all_networks_of_the_other_runs_are_learned_from():
    every = networks([0] * 4 + [1] * 4 + [2] * 4)
    chosen = choose(every, params(group="run", heldout=4), "there are")
    assert len(chosen) == 12
    assert len({network.facts["run"] for network in chosen[-4:]}) == 1


@pytest.mark.parametrize(
    ("runs", "changes", "said"),
    [
        ([0, 1, 2], {}, "there are 3 checkpoints, expected at least 4: 2 to learn from and 2 held out"),
        ([0] * 9, {"group": "run"}, "there are 9 checkpoints of 1 runs by run, expected at least 9"),
        ([0, 1] * 4, {"group": "runs"}, r"zoo\.group: 'runs' isn't known of 0/0; did you mean 'run'"),
    ],
)
def test_too_few_or_unknown_runs_are_named(runs, changes, said):
    with pytest.raises(UsageError, match=said):
        choose(networks(runs), params(**changes), "there are")
