"""YAML as people write it in configurations: plain values, within bounds that are checked before any of it is built."""

import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from stages.errors import UsageError, shown

MAX_BYTES = 2**17
"""Of a file, and of all text in it with every alias written out; the longest that comes with `dwf` has 13 KB."""
MAX_VALUES = 10_000
"""Keys, values and sections in all, with every alias written out."""
MAX_DEPTH = 30
"""Sections and lists within one another."""
MAX_DIGITS = 40
"""Of a whole number."""
UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that no name of a file can have: NUL, and halves of what UTF-16 writes as two."""


def read_yaml(path: Path) -> Any:
    """The value in a file. Raises UsageError naming the file and what is wrong with it."""
    try:
        with path.open("rb") as file:
            return parse_yaml(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise UsageError(f"{path}: not readable: {error.strerror}") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def parse_yaml(text: str | bytes) -> Any:
    """The value that a text means. Raises UsageError saying what is wrong with it."""
    if len(text) > MAX_BYTES:
        raise UsageError(f"longer than {MAX_BYTES} bytes, which no configuration is")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader, stricter
    except (yaml.YAMLError, ValueError) as error:  # the latter: a date such as 2026-13-01
        raise UsageError(f"not readable as YAML: {' '.join(str(error).split())}") from error


class _Loader(yaml.SafeLoader):
    """YAML without tags, within bounds, in which a key given twice is an error."""

    depth = values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node; nothing is scanned beyond the bounds."""
        event = self.peek_event()
        if tag := getattr(event, "tag", None):
            raise ConstructorError(None, None, f"tags aren't read, found {shown(tag)}", event.start_mark)
        self.depth += 1
        self.values += 1
        _check_bounds(self.depth, self.values, 0, event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        """All nodes, if they are within the bounds when every alias is written out; one within itself never is."""
        root = super().get_single_node()
        todo = [] if root is None else [(root, 1)]
        values = length = 0
        while todo:
            node, depth = todo.pop()
            values += 1
            length += len(node.value)
            _check_bounds(depth, values, length, node.start_mark)
            todo += [(part, depth + 1) for part in _parts(node)]
        return root

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = set[Any]()
        for part, _ in node.value:
            if not isinstance(part, yaml.ScalarNode):
                raise ConstructorError(None, None, "expected a name before the colon", part.start_mark)
            if (key := self.construct_object(part)) in found:
                raise ConstructorError(None, None, f"key {shown(key)} is given twice", part.start_mark)
            found.add(key)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: Any) -> Any:
        if UNUSABLE.search(value := super().construct_scalar(node)):
            raise ConstructorError(None, None, "a character that no text has, such as NUL", node.start_mark)
        return value

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > MAX_DIGITS:
            raise ConstructorError(None, None, f"a number of more than {MAX_DIGITS} digits", node.start_mark)
        return super().construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _check_bounds(depth: int, values: int, length: int, mark: yaml.Mark) -> None:
    if depth > MAX_DEPTH:
        raise ConstructorError(None, None, f"more than {MAX_DEPTH} sections or lists within one another", mark)
    if values > MAX_VALUES or length > MAX_BYTES:
        raise ConstructorError(None, None, f"more than {MAX_VALUES} values or {MAX_BYTES} bytes in all", mark)


def _parts(node: yaml.Node) -> Iterable[yaml.Node]:
    """The nodes right below one."""
    if isinstance(node, yaml.MappingNode):
        return chain.from_iterable(node.value)
    return node.value if isinstance(node, yaml.SequenceNode) else ()
