"""Configurations that nobody should write: known bombs, mutations of real files, and what a small grammar makes."""

import random
import re
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from smoke import PROJECT, SMOKE

from stages.errors import MAX_LENGTH, MAX_LINES

SECONDS = 2.0
"""Processor time that reading a configuration may take."""
MEMORY = 200 * 2**20
"""Bytes that it may take, over what the process has already."""
SHIPPED = [path.read_text() for path in sorted((PROJECT / "conf").glob("*.yaml"))]

VALUES = (
    *("", "null", "~", "true", "on", "-1", "0", "1e999", ".nan", "-.inf", "9" * 5000, "0x" + "f" * 5000, "0b_", "0o9"),
    *("1:30:" + "59:" * 30 + "1", "2026-13-45", "2026-01-01", "!!int x", "!!bool x", "!!timestamp x", "!!float ''"),
    *("!!python/object/apply:os.system [true]", "!!binary x", "!!set {a}", "<<", "=", "*a", "&a [*a]", "'", '"\\0"'),
    *(
        '"\\ud800"',
        "'" + "x" * 5000 + "'",
        "'" + "../" * 2000 + "'",
        "~no.body/x",
        "'~no.body'",
        "/dev/zero",
        "[" * 2000,
    ),
    *("{" * 2000, "[" * 25 + "]" * 25, "{a: " * 25 + "1" + "}" * 25, "[" + "1," * 3000 + "]", "[{}, [], '', null]"),
    *("os:system", "{kind: x}", "{kind: [1]}", "{name: iris, name: iris}", "{? [1] : 2}", "{1: 2, null: 3, true: 4}"),
    *("|", ">-", "- -", "? :", "\t", "#", "%", "@", "`", "\N{BYTE ORDER MARK}", "\N{RIGHT-TO-LEFT OVERRIDE}x", "\x85"),
)
"""Right sides of a key, as YAML has them."""


def _aliases(depth: int, width: int, leaf: str) -> str:
    lines = [f"a0: &a0 {leaf}"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, depth)]
    return "\n".join(lines)


BOMBS: dict[str, bytes] = {
    "nothing": b"",
    "one NUL": b"\0",
    "bytes of no text": bytes(range(256)),
    "the machine's own program": Path("/bin/sh").read_bytes()[:200_000],
    "UTF-16": SMOKE.read_text().encode("utf-16"),
    "UTF-16, cut off": SMOKE.read_text().encode("utf-16")[:-1],
    "UTF-32": SMOKE.read_text().encode("utf-32"),
    "a mark of byte order": b"\xef\xbb\xbf" + SMOKE.read_bytes(),
    "a lone mark of byte order": b"\xff\xfe",
    "aliases of aliases": _aliases(30, 9, "[lol]").encode(),
    "aliases of a long text": f"a: &a '{'x' * 100_000}'\nzoo: [{'*a, ' * 5000}]".encode(),
    "aliases within aliases": _aliases(300, 1, "[1]").encode(),
    "a list within itself": b"zoo: &a [*a]",
    "a section within itself": b"zoo: &a {network: *a}",
    "all of it within itself": b"&a\nzoo: *a\nfit: *a\nsample: *a",
    "merges of merges": b"a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nzoo: {<<: [*b, *b]}",
    "20,000 keys": "".join(f"key{i}: 1\n" for i in range(20_000)).encode(),
    "9,000 wrong keys": "".join(f"k{i}:\n" for i in range(4_500)).encode(),
    "20,000 keys that are numbers": "".join(f"{i * (2**61 - 1)}: 1\n" for i in range(10_000)).encode(),
    "30 MB of a comment": b"#" + b"x" * (30 * 2**20),
    "a comment": b"#" + b"x" * (2**17 - 2),
    "empty lines": b"\n" * 2**17,
    "words": b"a: " + b"b " * (2**16 - 2),
    "lines": b"a:" + b"\n b" * 43_600,
    "a text of many lines": b"a: |\n" + b" b\n" * 43_000,
    "escapes": b'a: "' + b"\\x41" * 32_000 + b'"',
    "open brackets": b"[" * 2**17,
    "open braces": b"{" * 2**17,
    "dashes": b"- " * 2**16,
    "questions": b"? " * 2**16,
    "anchors": b"&a " * 40_000,
    "tags": b"!a " * 40_000,
    "documents": b"---\n" * 30_000,
    "directives": b"%YAML 1.1\n" * 13_000,
    "a long key": b"x" * 100_000 + b": 1",
    "a long key that is quoted": b"? '" + b"x" * 100_000 + b"'\n: 1",
    "a long anchor": b"zoo: *" + b"x" * 100_000,
    "a long tag": b"zoo: !" + b"x" * 100_000,
    "a value for the whole": b"zoo",
    "a list for the whole": b"- zoo\n- fit",
    "a tab": b"zoo:\n\tsource: train",
    "a name within a name": b"zoo: source: train",
    "sections that are lists": b"zoo: []\nfit: []\nsample: []",
    "keys of no names": b"1: 2\nnull: 3\ntrue: 4\n2026-01-01: 5\n1.5: 6\n",
    "a key that is a list": b"? [zoo]\n: 1",
    "no home": SMOKE.read_bytes() + b"\nstore_root: ~no.body/store\n",
    **{f"zoo: {value[:20]!r}, {len(value)} long": f"zoo: {value}\n".encode() for value in VALUES},
}
"""What is wrong -> a file's content."""


def mutated(text: str, draw: random.Random) -> bytes:
    """A file with one to four changes: characters, lines, indentation, values, or a piece of another file."""
    content = text
    for _ in range(draw.randint(1, 4)):
        lines = content.split("\n")
        at = draw.randrange(len(lines))
        key, colon, _ = lines[at].partition(":")
        change: list[Callable[[], str]] = [
            lambda lines=lines, at=at: lines[at] * draw.choice((0, 2, 300)),
            lambda lines=lines, at=at: " " * draw.randint(1, 9) + lines[at],
            lambda lines=lines, at=at: lines[at].lstrip(),
            lambda lines=lines, at=at: f"{lines[at]}\n{draw.choice(lines)}",
            lambda lines=lines, at=at: f"{lines[at]}\n{draw.choice(draw.choice(SHIPPED).splitlines())}",
            lambda key=key, colon=colon: f"{key}{colon or ':'} {draw.choice(VALUES)}",
            lambda key=key, colon=colon: f"{key}x{colon}",
            lambda key=key: f"{key}: {grown(draw)}",
            lambda lines=lines, at=at: _flipped(lines[at], draw),
        ]
        lines[at] = draw.choice(change)()
        content = "\n".join(lines)[: 2**17]
    return content.encode("utf-8", "surrogatepass")


def _flipped(line: str, draw: random.Random) -> str:
    at = draw.randrange(len(line) + 1)
    return line[:at] + chr(draw.choice((*range(32, 127), 0, 9, 13, 0x7F, 0x85, 0xFEFF, 0x1F600))) + line[at + 1 :]


def grown(draw: random.Random, depth: int = 0) -> str:
    """A value in YAML's flow style, by a grammar of lists, sections, anchors, aliases, tags and VALUES."""
    kind = draw.randrange(7 if depth < 40 else 2)
    parts = [grown(draw, depth + 1) for _ in range(draw.randrange(4))] if kind > 2 else []
    match kind:
        case 3:
            return f"[{', '.join(parts)}]"
        case 4:
            return (
                "{" + ", ".join(f"{draw.choice(('kind', 'name', 'a', '1', *VALUES))}: {part}" for part in parts) + "}"
            )
        case 5:
            return f"&a {parts[0]}" if parts else "*a"
        case 6:
            return f"!!{draw.choice(('str', 'int', 'map', 'seq', 'python/name:os.system'))} {' '.join(parts)}"
    return draw.choice(VALUES)


def overrides(draw: random.Random) -> str:
    """What somebody may give to `--set`: a dotted key, near or far from a real one, and any value."""
    key = draw.choice(KEYS)
    key = draw.choice((key, f"{key}.x", key.rpartition(".")[0], key.upper(), f"{key}." * 40, _flipped(key, draw), ""))
    return f"{key}{draw.choice(('=', '=', '=', '==', ''))}{draw.choice((draw.choice(VALUES), grown(draw)))}"


def _keys(values: object, place: str = "") -> Iterator[str]:
    for name, value in values.items() if isinstance(values, dict) else ():
        yield f"{place}{name}"
        yield from _keys(value, f"{place}{name}.")


KEYS = sorted({key for text in SHIPPED for key in _keys(yaml.safe_load(text))})


def assert_readable(message: str) -> None:
    """Few lines, none of them longer than people read."""
    lines = message.splitlines()
    assert 0 < len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= MAX_LENGTH
    assert not re.search(r"unexpected \w+(Error|Exception)", message)


@contextmanager
def within_bounds(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Within the block, more processor time ends in a TimeoutError, and more memory in a MemoryError."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s of processor time")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = signal.signal(signal.SIGPROF, too_long)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, hard))
        signal.setitimer(signal.ITIMER_PROF, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
