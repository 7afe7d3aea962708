"""Metrics: their docstrings, the sets that have them, and their way through figures.json and its schema."""

import math
from pathlib import Path

import pytest
import torch
from figure_builders import figures_of
from hypothesis import given
from hypothesis import strategies as st
from network_sets import measured, measured_set, members_with, network_set, outputs_and_targets

from stages.errors import Damaged
from stages.evaluation.figures import FILE, Figures, SetFigures, read_figures
from stages.evaluation.metric import Metric, metric, summary
from stages.evaluation.metrics import COLUMNS, METRICS, figures_schema
from stages.evaluation.network_set import NetworkSet
from stages.evaluation.results import results_of
from stages.store.files import write_json
from stages.store.sealed import read_json

OF_WEIGHTS = {name for name, metric in METRICS.items() if not metric.of_outputs}


def test_a_summary_holds_mean_spread_extremes_and_quantiles():
    s = summary(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert (s.mean, s.min, s.max, s.p50) == (2.5, 1.0, 4.0, 2.5)
    assert s.std == pytest.approx(math.sqrt(1.25))
    assert (s.p10, s.p90) == (pytest.approx(1.3), pytest.approx(3.7))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_a_summary_is_in_order(values: list[float]):
    s = summary(torch.tensor(values, dtype=torch.float64))
    assert s.min <= s.p10 <= s.p50 <= s.p90 <= s.max
    assert s.min - 1e-9 <= s.mean <= s.max + 1e-9


@pytest.mark.parametrize("each", METRICS.values(), ids=METRICS)
def test_a_metric_s_docstring_is_a_heading_and_its_meaning(each: Metric):
    assert 1 <= len(each.heading) <= 25
    assert each.heading[0].isupper()
    assert each.meaning
    assert each._doc.endswith(".")


def test_a_metric_without_a_heading_is_refused():
    @metric()
    def unexplained(networks: NetworkSet) -> float:
        """How large they are"""
        return 1.0

    with pytest.raises(AssertionError, match="metric unexplained must be `Heading: meaning"):
        _ = unexplained.heading


def test_no_two_columns_are_in_the_same_place():
    places = [(each.column.table, each.column.order) for each in COLUMNS if each.column]
    assert len(set(places)) == len(places)


def test_without_data_only_weights_are_measured():
    figures = measured_set(data=False)
    assert set(figures) == OF_WEIGHTS
    tests = METRICS["two_sample"].measure(network_set(data=False))[0]
    assert tests is not None
    assert tests.outputs is None
    values = {m.points: m.measure(network_set(data=False))[1] for m in METRICS.values() if m.points}
    assert {name for name, per_network in values.items() if per_network} == {"distance_in_tau", "nearest_member"}


def test_with_data_generated_networks_have_every_metric_but_a_regression_s():
    assert set(METRICS) - set(measured_set()) == {"r2", "mae"}
    points = [m.measure(network_set())[1] for m in METRICS.values() if m.points]
    assert all(len(values) == 4 for values in points if values is not None)


def test_a_baseline_is_not_tested_against_held_out_members():
    generated = network_set()
    figures = measured(NetworkSet("baseline", "noise", generated.rows, generated.results, generated.reference))
    assert not {"two_sample", "dispersion_by_direction"} & set(figures)


def classifiers_and_regressors() -> list[NetworkSet]:
    """Sets that have every metric between them."""
    outputs, targets = outputs_and_targets(regression=True)
    return [network_set(), network_set("members"), members_with(results_of([outputs], targets))]


def test_every_metric_reads_back_from_figures_json_as_it_was(tmp_path: Path):
    sets = dict(enumerate(classifiers_and_regressors()))
    figures = {i: measured(networks) for i, networks in sets.items()}
    assert {name for by_name in figures.values() for name in by_name} == set(METRICS)
    entries = {f"set {i}": SetFigures(role=s.role, networks=len(s.rows), **figures[i]) for i, s in sets.items()}
    figures_of(entries).write(tmp_path)
    again = read_figures(tmp_path)
    for i, by_name in figures.items():
        for name, each in METRICS.items():
            value = each.of(again.sets[f"set {i}"])
            assert value == by_name.get(name), name
            assert type(value) is type(by_name.get(name)), name
    assert again.model_dump() == figures_of(entries).model_dump()


def test_nothing_is_a_figure_of_a_set_that_is_not_there():
    assert METRICS["score"].of(None) is None
    assert METRICS["score"].number(SetFigures(role="generated", networks=1)) is None


def test_a_metric_with_a_number_of_its_own_is_compared_by_it():
    entry = SetFigures(role="generated", networks=4, **measured_set())
    shares, tests = METRICS["novel_and_performant"], METRICS["two_sample"]
    assert shares.number(entry) == shares.of(entry)["1.0"]
    assert tests.number(entry) == tests.of(entry).outputs.auc
    assert METRICS["score"].number(entry) == METRICS["score"].of(entry).mean
    assert not METRICS["per_class"].is_number


def damaged(folder: Path, **changes: object) -> str:
    """The error about figures.json after these changes to it."""
    figures_of({}).write(folder)
    write_json(folder / FILE, read_json(folder / FILE) | changes)
    with pytest.raises(Damaged) as error:
        read_figures(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_unknown_name_in_figures_json_is_an_error_with_file_and_place(tmp_path: Path):
    assert damaged(tmp_path, verdct={}).startswith(f"{tmp_path / FILE}: verdct: Extra inputs are not permitted;")
    assert ": verdict.acurate: " in damaged(tmp_path, verdict={"acurate": True})


@pytest.mark.parametrize("schema", [4, 7, "6"])
def test_figures_of_another_schema_are_refused(tmp_path: Path, schema: object):
    assert damaged(tmp_path, schema=schema).endswith(": schema: Input should be 5 or 6; run evaluate again")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_have_are_not_written(tmp_path: Path, value: float):
    with pytest.raises(ValueError, match="JSON compliant"):
        Figures(tau=value).write(tmp_path)


def properties(schema: dict, path: str = ""):
    """Every property of a JSON schema: its path, and its own schema."""
    for name, part in {**schema.get("$defs", {}), "": schema}.items():
        for key, described in part.get("properties", {}).items():
            yield f"{name}.{key}", described


def test_every_property_of_the_schema_has_a_description():
    schema = figures_schema()
    missing = [path for path, described in properties(schema) if not described.get("description")]
    assert missing == []
    assert len(list(properties(schema))) > 100


def test_the_schema_lists_every_metric_with_its_meaning():
    entry = figures_schema()["$defs"]["SetFigures"]["properties"]
    for name, each in METRICS.items():
        assert entry[name]["description"] == f"{each.heading}: {each.meaning}."
    assert {"role", "networks", "points"} <= set(entry)
