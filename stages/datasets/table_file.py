"""Tables in .csv and .parquet files: columns of numbers, or one of texts, and a target."""

from pathlib import Path
from typing import Any

import numpy as np

from stages.datasets.examples import Examples, first_line
from stages.datasets.own import Part, one_side
from stages.datasets.own_inputs import describe, encoder
from stages.errors import DataMissing, UsageError, did_you_mean, shown
from stages.params.own_kinds import TableFile

__all__ = ["columns_of_numbers", "describe", "encoder", "read"]


def read(dataset: TableFile, root: Path, *, train: bool) -> Examples:
    """Features [examples, features] or texts [examples], and the target column.

    Raises DataMissing for a file that isn't such a table, and UsageError naming a column that isn't there, isn't
    numeric or has gaps.
    """
    return one_side(dataset, root, _part, train=train)


def _part(dataset: TableFile, root: Path, part: Part) -> Examples | None:
    del root
    path = getattr(dataset, part)
    if not isinstance(path, str):
        return None
    table = _table(dataset, path)
    for field in ("target", "text"):
        if (name := getattr(dataset, field)) is not None:
            _check_there(table, name, field, path)
    targets = table[dataset.target]
    if gaps := int(targets.isna().sum()):
        raise UsageError(f"zoo.dataset.target: {gaps} rows of {path} have no {dataset.target!r}; leave them out")
    texts = targets.dtype.kind not in "biuf"
    labels = np.array([str(label) for label in targets]) if texts else targets.to_numpy()
    if dataset.text is not None:
        return Examples(np.array([str(text) for text in table[dataset.text]], dtype=object), labels)
    for name in (*(dataset.inputs or ()), *dataset.drop):
        _check_there(table, name, "drop" if name in dataset.drop else "inputs", path)
    names = dataset.inputs or [name for name in table.columns if name not in (dataset.target, *dataset.drop)]
    return Examples(columns_of_numbers(table[list(names)], path), labels)


def columns_of_numbers(table: Any, place: str) -> np.ndarray:
    """All columns as float32 [rows, columns].

    Raises UsageError naming one that holds something else, or has gaps, or if there is none.
    """
    if not len(table.columns):
        raise UsageError(f"{place}: has no columns of features beside the target")
    for name, column in table.items():
        if column.dtype.kind not in "biuf":
            raise UsageError(
                f"{place}: column {name!r} holds {shown(column.iloc[0])}, expected numbers; name it in drop, encode it "
                "as numbers, or name it as text"
            )
        if gaps := int(column.isna().sum()):
            row = int(column.isna().to_numpy().argmax())
            raise UsageError(
                f"{place}: column {name!r} has {gaps} missing values, first that of row {row}; fill them in"
            )
    return table.to_numpy(dtype=np.float32)


def _table(dataset: TableFile, path: str) -> Any:
    import pandas as pd

    pandas: Any = pd  # whose annotations know no columns by name
    try:
        if dataset.kind == "csv":
            return pandas.read_csv(path, sep=dataset.separator)
        return pandas.read_parquet(path)
    except ImportError as error:
        raise UsageError(f'{path}: to read .parquet files, pip install "dwf[parquet]"') from error
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise DataMissing(f"{path}: not readable as {dataset.kind} ({first_line(error)}); write it anew") from error


def _check_there(table: Any, name: str, field: str, path: str) -> None:
    names: list[Any] = list(table.columns)
    if name not in names:
        near = did_you_mean(name, map(str, names)) or f"; there are {', '.join(map(str, names[:8]))}"
        raise UsageError(f"zoo.dataset.{field}: {path} has no column {name!r}{near}")
