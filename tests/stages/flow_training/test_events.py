"""What TensorBoard finds of a fit: curves, histograms and hyper-parameters."""

from pathlib import Path

import pytest
from smoke import Done
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from stages.artifacts.fitted import CURVES
from stages.params.flat import flat


@pytest.fixture(scope="module")
def events(finished: tuple[Path, Done]) -> EventAccumulator:
    path = finished[1]["fit"][0].path / "events"
    return EventAccumulator(str(path), size_guidance={"histograms": 0}).Reload()  # 0: all, not the last one


def test_curves_are_those_of_the_table(events: EventAccumulator, finished: tuple[Path, Done]):
    header, *lines = (finished[1]["fit"][0].path / CURVES).read_text().split()
    for i, name in enumerate(header.split(",")[1:], 1):
        found = [(event.step, event.value) for event in events.Scalars(f"fit/{name}")]
        rows = [line.split(",") for line in lines]
        assert found == [(int(row[0]), pytest.approx(float(row[i]))) for row in rows]


def test_weights_and_generated_points_have_histograms(events: EventAccumulator):
    names = events.Tags()["histograms"]
    assert "fit/generated" in names
    assert sum(name.startswith("velocity/") for name in names) > 4
    assert [event.step for event in events.Histograms("fit/generated")] == [20, 40, 60]


def test_hyper_parameters_are_the_fit_s(events: EventAccumulator):
    start = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    found = HParamsPluginData.FromString(start).session_start_info.hparams
    assert found["steps"].number_value == 60
    assert found["velocity.kind"].string_value == "mlp"
    columns = events.SummaryMetadata("_hparams_/experiment").plugin_data.content
    metrics = HParamsPluginData.FromString(columns).experiment.metric_infos
    assert {metric.name.tag for metric in metrics} == {"fit/loss", "fit/heldout_loss", "fit/dispersion"}


def test_values_are_flattened_by_dotted_name():
    nested = {"a": 1, "b": {"c": [1, 2], "d": None, "e": {"f": "x"}}, "g": True}
    assert flat(nested) == {"a": 1, "b.c": "[1, 2]", "b.e.f": "x", "g": True}
