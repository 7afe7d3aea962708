"""Members that are rows of one matrix, in Keras's order of variables and axes."""

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import nn

from stages.context import Context
from stages.errors import Damaged, UsageError
from stages.matrix_files import open_matrix, row_digests
from stages.members.choice import check_distinct, choose
from stages.members.data import Data
from stages.members.external import member_facts, shard_size, unknown_facts
from stages.members.shards import Shard, cut
from stages.members.sources import Members
from stages.params.facts import read_table
from stages.params.matrix import MatrixZoo, Row
from stages.store.keras import KerasLayout, Variable, variable_shape
from stages.store.layout import Layout
from stages.store.weights import Shards

COLUMNS = ("varname", "start_idx", "end_idx", "shape")
"""Of the table of variables."""


def shards(params: MatrixZoo) -> list[Shard]:
    """The members, held-out ones last, cut into shards.

    Raises UsageError if there are too few, two with the same weights, or several rows of one run.
    """
    return cut(len(chosen(params)), shard_size(params, 4 * open_matrix(params.weights).shape[1]))


def chosen(params: MatrixZoo) -> list[Row]:
    """The members, held-out ones last."""
    rows = finite(params)
    if params.group is None:
        _check_one_per_run(params, rows)
    return choose(rows, params, f"zoo.folder: {params.folder} has")


def finite(params: MatrixZoo) -> list[Row]:
    """The rows that `zoo.where` leaves and that hold no NaN or Inf. Raises UsageError if two are the same."""
    rows = params.rows()
    found = list(zip(row_digests(params.weights, [row.index for row in rows]), rows, strict=True))
    check_distinct(((digest, row.name) for digest, row in found if digest), "by a condition in zoo.where (rows {})")
    return [row for digest, row in found if digest]


def _check_one_per_run(params: MatrixZoo, rows: list[Row]) -> None:
    """Epochs of one run are near copies: one could be held out while the flow learns from another."""
    counts = Counter(row.facts.get(params.run) for row in rows)
    run, count = counts.most_common(1)[0] if counts else (None, 0)
    if run is not None and count > 1:
        raise UsageError(
            f"zoo.where: leaves {count} rows of one run ({params.run} {run}); choose one of its epochs, "
            f"e.g. step == 86, or split by runs with zoo.group: {params.run}"
        )


def make(params: MatrixZoo, shard: Shard, module: nn.Module, data: Data, ctx: Context) -> Members:
    """Read the rows of one shard.

    Raises LayoutMismatch naming the variable and the tensor that don't fit each other.
    """
    members = chosen(params)
    index = [row.index for row in members[shard.start : shard.stop]]
    layout = KerasLayout.of(_variables(params), Layout.of_module(module), str(params.layout))
    values = np.asarray(open_matrix(params.weights)[index], dtype=np.float32)
    rows = layout.rows(torch.from_numpy(values))
    ctx.progress(0.5, f"{len(index)} rows of {params.weights.name}")
    return rows, member_facts(params, shard, members, [""] * len(index), data)


def summarize(params: MatrixZoo, zoo: Shards) -> dict[str, Any]:
    """How many rows were left out and why, and what isn't known of every member."""
    fulfilling, usable = len(params.rows()), len(finite(params))
    reasons = {
        "by zoo.where": len(open_matrix(params.weights)) - fulfilling,
        "NaN or Inf among their weights": fulfilling - usable,
        "not drawn": usable - len(zoo),
    }
    return {"left_out": {reason: n for reason, n in reasons.items() if n}, "unknown_facts": unknown_facts(zoo)}


def _variables(params: MatrixZoo) -> list[Variable]:
    """The matrix's columns. Raises Damaged if the table isn't one of variables."""
    names, *lines = read_table(params.layout)
    if lacking := [name for name in COLUMNS if name not in names]:
        raise Damaged(f"{params.layout}: has no column {lacking[0]!r}; expected {', '.join(COLUMNS)}")
    name, start, stop, shape = (names.index(column) for column in COLUMNS)
    try:
        return [Variable(line[name], int(line[start]), int(line[stop]), variable_shape(line[shape])) for line in lines]
    except ValueError as error:
        raise Damaged(f"{params.layout}: not a table of variables ({error})") from error
