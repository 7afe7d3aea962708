"""The meaning of Python sources as text: what is left of them without layout, comments, docstrings and messages.

Two sources of the same meaning compute the same numbers, so artifacts' keys hash this and not the bytes. Left out are

- layout, comments, parentheses, quotes, trailing commas, and how strings are split: none of it is in the syntax tree;
- bare strings, which document, and the order of the imports of a block;
- messages: of `raise X(...)` only X is kept, of `assert test, ...` only the test, and of a call of what `WORDING`
  defines only its name, so of an error that is made without being raised, of a ProgressReporter, of a table's column;
- progress: statements that call `progress`, `<anything>.progress` or `reporter.step`;
- imports from `UNKEYED`.

The tree is written out by hand, as `ast.dump` differs between versions of Python: fields that are absent or empty are
skipped, and thereby all that later versions add.
"""

import ast
from collections.abc import Iterator, Sequence

WORDING = ("stages.errors", "stages.progress", "stages.columns")
"""Modules whose functions and classes take nothing but words for people, and how to show what was measured."""
UNKEYED = (*WORDING, "stages.context", "stages.locks", "stages.memory", "stages.reporting", "stages.trust")
"""Modules and packages that can't change a stage's numbers."""
SKIPPED = ("ctx", "kind", "type_comment")
"""Fields of the syntax tree that say nothing which the rest of it doesn't."""


def meaning(source: str | bytes | ast.Module) -> str:
    """A text that is equal for sources of equal meaning, on every version of Python; empty if there is none.

    Raises SyntaxError.
    """
    tree = source if isinstance(source, ast.Module) else ast.parse(source)
    froms = (node for node in statements(tree) if isinstance(node, ast.ImportFrom) and node.module in WORDING)
    return ";".join(_block(tree.body, {alias.asname or alias.name for node in froms for alias in node.names}))


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Every statement within a node, however deep; expressions, most of a tree, are passed by."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, name, ()):
            if isinstance(inner, ast.stmt):
                yield inner
            yield from statements(inner)


def is_unkeyed(module: str) -> bool:
    """Whether a module is one of UNKEYED, or part of one."""
    return any(f"{module}.".startswith(f"{name}.") for name in UNKEYED)


def _text(value: object, wording: set[str]) -> str:
    """A node, a list or a constant; `wording` holds the names that a source imports from WORDING."""
    match value:
        case str():
            return ascii(value)
        case ast.Raise(exc=ast.Call(func=error)):
            return f"Raise(exc={_text(error, wording)})"
        case ast.Assert(test=test):
            return f"Assert(test={_text(test, wording)})"
        case ast.Call(func=ast.Name(id=name)) if name in wording:
            return f"Call(func={name})"
        case ast.Delete(targets=[ast.Tuple(elts=targets)]):
            return f"Delete(targets={_text(targets, wording)})"
        case ast.JoinedStr(values=parts):
            return f"JoinedStr({','.join(_joined(parts, wording))})"
        case ast.AST():
            inner = []
            for name in value._fields:
                field = None if name in SKIPPED else getattr(value, name, None)
                if field is not None and (text := _text(field, wording)) not in ("[]", "JoinedStr()"):
                    inner.append(f"{name}={text}")
            return f"{type(value).__name__}({','.join(inner)})"
        case [ast.stmt(), *_]:
            return f"[{';'.join(_block(value, wording))}]"
        case list():
            return f"[{','.join(_text(item, wording) for item in value)}]"
        case int() if not isinstance(value, bool):
            return hex(value)  # of any length, where Python limits decimal ones
        case _:
            return ascii(value)  # what is printable depends on Python's version


def _block(statements: Sequence[ast.stmt], wording: set[str]) -> Iterator[str]:
    """Sorted imports, then all other statements that mean something."""
    yield from sorted({text for statement in statements for text in _imports(statement)})
    for statement in statements:
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                pass
            case ast.Expr(
                value=ast.Call(
                    func=ast.Name(id="progress")
                    | ast.Attribute(attr="progress")
                    | ast.Attribute(attr="step", value=ast.Name(id="reporter") | ast.Attribute(attr="reporter"))
                )
            ):
                pass
            case _:
                yield _text(statement, wording)


def _imports(statement: ast.stmt) -> Iterator[str]:
    """A text for each name that a statement imports."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        module = "." * getattr(statement, "level", 0) + (getattr(statement, "module", None) or "")
        for alias in statement.names:
            if not is_unkeyed(module or alias.name) and not is_unkeyed(f"{module}.{alias.name}"):
                yield f"import {module}:{alias.name} as {alias.asname or alias.name}"


def _joined(parts: Sequence[ast.expr], wording: set[str]) -> Iterator[str]:
    """The parts of an f-string, strings that follow each other as one."""
    plain = ""
    for part in parts:
        if isinstance(part, ast.Constant):
            plain += str(part.value)
            continue
        if plain:
            yield ascii(plain)
        plain = ""
        yield _text(part, wording)
    if plain:
        yield ascii(plain)
