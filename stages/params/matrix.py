"""Parameters of a zoo in one matrix: a row of weights per network, with tables of its columns and rows beside it."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from stages.checkpoint_paths import content_of
from stages.errors import UsageError
from stages.params.base import below
from stages.params.external import ExternalZoo
from stages.params.facts import Facts, is_known, read_table
from stages.params.where import Condition, check_names


@dataclass(frozen=True)
class Row:
    """A network: the number of its row, and its line of the table of metrics."""

    index: int
    facts: Facts

    @property
    def name(self) -> str:
        """As files of the other sources are named."""
        return f"weights.npy:{self.index:06d}"


class MatrixZoo(ExternalZoo):
    """A zoo in one matrix, as the Small CNN Zoo is published: `weights.npy`, `layout.csv`, `metrics.csv.gz`."""

    source: Literal["matrix"]
    """Origin of the zoo: `matrix`, a row of weights per network."""
    folder: str = Field(min_length=1)
    """Folder with `weights.npy` [networks, parameters], `layout.csv` (columns `varname`, `start_idx`, `end_idx`,
    `shape`) and `metrics.csv` or `metrics.csv.gz` (a line per row, in order), by Keras's names and order of axes."""
    run: str = "modeldir"
    """Column of the metrics that tells training runs apart; the rows of one run are its epochs."""

    @property
    def weights(self) -> Path:
        """The matrix. Raises UsageError if it isn't there."""
        return self._file("weights.npy")

    @property
    def layout(self) -> Path:
        """The table of its columns. Raises UsageError if it isn't there."""
        return self._file("layout.csv")

    @property
    def metrics(self) -> Path:
        """The table of its rows. Raises UsageError if it isn't there."""
        return self._file("metrics.csv", "metrics.csv.gz")

    def _file(self, *names: str) -> Path:
        for path in (Path(self.folder).absolute() / name for name in names):
            if path.is_file():
                return path
        raise UsageError(f"zoo.folder: {self.folder} has no {' or '.join(names)}; unpack the zoo and name its folder")

    def rows(self) -> list[Row]:
        """The rows whose metrics fulfil `where`, in order.

        Raises UsageError if there are none, or not as many lines of metrics as rows of weights.
        """
        from stages.matrix_files import open_matrix  # numpy, which no other parameters need

        state = self.metrics.stat()
        rows, lines = _rows(self.metrics, self.conditions, state.st_size, state.st_mtime_ns)
        if lines != (count := len(open_matrix(self.weights))):
            raise UsageError(
                f"{self.metrics}: has {lines} lines, but {self.weights.name} {count} rows; they belong "
                "together line by line"
            )
        return rows

    def fingerprint(self) -> dict[str, Any]:
        """The parameters, with the content of the tables and of the rows in question in the place of the folder."""
        from stages.matrix_files import row_digests

        digests = row_digests(self.weights, [row.index for row in self.rows()])
        rows = hashlib.sha256("".join(digest or "-" for digest in digests).encode()).hexdigest()[:16]
        contents = {"layout": content_of(self.layout), "metrics": content_of(self.metrics), "rows": rows}
        return {**super().fingerprint(), "folder": contents}

    def below(self, folder: Path) -> "MatrixZoo":
        """A copy whose folder, if relative, is below another."""
        return super().below(folder).model_copy(update={"folder": below(folder, self.folder)})


@cache
def _rows(metrics: Path, conditions: tuple[Condition, ...], size: int, changed: int) -> tuple[list[Row], int]:
    """The rows that fulfil all conditions, and the number of all."""
    del size, changed  # part of the cache's key
    lines = read_table(metrics)
    names = next(lines)
    check_names(conditions, set(names))
    places = [(names.index(condition.name), condition) for condition in conditions]
    rows, count = [], 0
    for count, line in enumerate(lines, 1):
        if all(is_known(line[place]) and condition.holds(line[place]) for place, condition in places):
            known = {name: value for name, value in zip(names, line, strict=True) if is_known(value)}
            rows.append(Row(count - 1, known))
    if not rows:
        asked = " and ".join(f"{c.name} {c.operator} {c.value}" for c in conditions) or "any facts"
        raise UsageError(f"zoo.where: no line of {metrics} has {asked}")
    return rows, count
