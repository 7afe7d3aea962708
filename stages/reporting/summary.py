"""The summary of a report: what a terminal and Prefect's pages show of it, as summary.json holds it.

Reading it takes neither torch nor the figures.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.errors import Damaged
from stages.store.files import write_json
from stages.store.sealed import read_json

FILE = "summary.json"


class SummaryRow(BaseModel):
    """A set of networks: its name, its role, and its figures as text."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    role: str
    cells: list[str]


class ReportSummary(BaseModel):
    """The verdict in sentences, further findings, and the brief table of all sets."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: str
    warnings: list[str] = []
    """What to know before the figures are trusted."""
    verdict: str
    findings: list[str]
    columns: list[str]
    """Headings, with units."""
    rows: list[SummaryRow]

    def write(self, folder: Path) -> None:
        """Write summary.json."""
        write_json(folder / FILE, self.model_dump())


def read_summary(folder: Path) -> ReportSummary:
    """The summary in a report's folder. Raises Damaged naming the file if it isn't one."""
    try:
        return ReportSummary.model_validate(read_json(folder / FILE))
    except ValidationError as error:
        first = error.errors()[0]
        raise Damaged(f"{folder / FILE}: {first['loc']}: {first['msg']}; run the report again") from error
