"""Facts about checkpoints: in their files' names, in a table beside them, or in the headers of safetensors."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from stages.errors import UsageError
from stages.members.facts import flattened, parsed
from stages.params.facts import METADATA, Facts, FactTable, column_name, is_known, name_pattern, read_table
from stages.store.checkpoints import load_metadata


def facts_of_files(source: str | FactTable | None, files: Mapping[str, Path]) -> dict[str, Facts]:
    """What is known about each of the files, which are given by their names.

    Raises UsageError if nothing is known about any of them, or a table has two lines for one.
    """
    if source is None:
        return {name: {} for name in files}
    if isinstance(source, FactTable):
        found = _in_table(source, files)
    elif source == METADATA:
        found = {name: _in_header(path, path.stat().st_mtime_ns) for name, path in files.items()}
    else:
        found = {name: _in_name(source, name) for name in files}
    if not any(found.values()):
        where = source.table if isinstance(source, FactTable) else source
        raise UsageError(
            f"zoo.facts: {where} says nothing about any of the {len(files)} files, e.g. {next(iter(files))}"
        )
    return found


def _in_name(pattern: str, name: str) -> Facts:
    match = name_pattern(pattern).search(name)
    fields = match.groupdict() if match else {}
    return {column_name(field): value for field, value in fields.items() if value and is_known(value)}


@cache
def _in_header(path: Path, changed: int) -> Facts:
    del changed  # part of the cache's key
    return dict(flattened(parsed(load_metadata(path))))


def _in_table(table: FactTable, files: Mapping[str, Path]) -> dict[str, Facts]:
    """Each file's line: the one that names its path, or the most of its last parts."""
    path = Path(table.table)
    if not path.is_file():
        raise UsageError(f"zoo.facts.table: {table.table}: no such file")
    header, *lines = read_table(path)
    if (column := column_name(table.file)) not in header:
        raise UsageError(f"zoo.facts.file: {path} has no column {table.file!r}; there are {', '.join(header)}")
    place, by_file = header.index(column), {}
    for line in lines:
        parts = PurePosixPath(line[place]).parts
        if parts in by_file:
            raise UsageError(f"zoo.facts.table: {path} has two lines for {line[place]}; remove one")
        by_file[parts] = {name: value for name, value in zip(header, line, strict=True) if is_known(value)}
    return {name: _line_of(path.parts, by_file) for name, path in files.items()}


def _line_of(parts: tuple[str, ...], by_file: Mapping[tuple[str, ...], Facts]) -> Facts:
    ends = (parts[start:] for start in range(len(parts)))
    return next((by_file[end] for end in ends if end in by_file), {})
