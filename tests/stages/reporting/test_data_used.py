"""What the report says of the test data: the split that there is, and no more about imported members than is known."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from made_up_figures import made_up
from sklearn.datasets import load_digits

from stages.datasets import load_test
from stages.datasets.tables import SCALES
from stages.evaluation.figures import Figures
from stages.params.dataset import Images, Table, Texts
from stages.report import summary_of
from stages.reporting.data_used import OURS, inputs, scored_on
from stages.reporting.lineage import Run

DIGITS = Figures(dataset=Table(name="digits"), test_examples=450)


def test_the_split_is_called_ours_where_the_data_come_without_one():
    assert scored_on(DIGITS) == "Test data: 450 examples of digits, our own fixed test split."
    mnist = Figures(dataset=Images(name="mnist", test=1000, only=(3, 8)), test_examples=1000)
    text = "Test data: 1,000 examples of mnist (classes 3, 8), a fixed random subset of its authors' test split."
    assert scored_on(mnist) == text


def test_tables_have_our_split_and_images_their_authors():
    assert set(OURS) >= set(get_args(Table.model_fields["name"].annotation))
    assert set(OURS).isdisjoint(get_args(Images.model_fields["name"].annotation))
    assert "reviews" in OURS
    assert "reviews" in get_args(Texts.model_fields["name"].annotation)


def test_the_rows_are_those_that_evaluate_loads(tmp_path: Path):
    """450 of the 1,797 rows, each once."""
    mean, std = SCALES["digits"]
    rows = (load_test(Table(name="digits"), tmp_path).inputs.numpy() * std + mean).round()
    every = {row.tobytes() for row in load_digits().data.astype(np.float32)}
    assert len(rows) == DIGITS.test_examples
    assert {row.astype(np.float32).tobytes() for row in rows} <= every


@pytest.mark.parametrize("imported", [False, True])
def test_an_overlap_with_what_members_were_trained_on_is_open_for_imported_ones_alone(imported: bool):
    text = scored_on(DIGITS.model_copy(update={"imported": imported}))
    assert ("whether they were trained on some of these examples can't be known" in text) is imported


def test_inputs_are_told_as_recorded_and_not_guessed():
    assert inputs(Figures(inputs="(x - 5) / 6")) == "Inputs: (x - 5) / 6."
    assert inputs(Figures(inputs="as they are")) == "Inputs: as they are."
    assert inputs(DIGITS) == ""
    assert scored_on(Figures()) == scored_on(Figures(dataset=Table(name="iris"))) == ""


def test_the_terminal_says_both_and_nothing_of_data_that_there_are_not():
    told = summary_of(made_up().model_copy(update={"inputs": "(x - 5) / 6"}), Run()).findings
    assert {"Inputs: (x - 5) / 6."} < set(told)
    assert any(line.startswith("Test data: ") for line in told)
    without = made_up().model_copy(update={"inputs": None, "dataset": None, "test_examples": None})
    assert not any("Inputs:" in line or "Test data:" in line for line in summary_of(without, Run()).findings)
