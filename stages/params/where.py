"""Conditions on facts by which members of a zoo are chosen, such as `test_accuracy > 0.3`."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from stages.errors import UsageError, did_you_mean
from stages.params.facts import number, text

CONDITION = re.compile(r"(?P<name>[\w.-]+)\s*(?P<operator>==|!=|<=|>=|<|>)\s*(?P<value>.+)")
OPERATORS: dict[str, Callable[[str | float, str | float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """A fact's name, an operator of OPERATORS, and the value to compare with."""

    name: str
    operator: str
    value: str

    def holds(self, found: str | float | None) -> bool:
        """Whether a member's value fulfils it: numbers as numbers, others as text; an unknown value never does."""
        if found is None:
            return False
        numbers = number(found), number(self.value)
        a, b = (text(found), self.value) if None in numbers else numbers
        return OPERATORS[self.operator](a, b)  # type: ignore[arg-type] - either both are numbers or both text


def parse_condition(condition: str) -> Condition:
    """Raises ValueError unless it is a name, an operator and a value."""
    if (parts := CONDITION.fullmatch(condition.strip())) is None:
        raise ValueError(f"{condition!r} is no condition; expected a fact, one of {' '.join(OPERATORS)}, and a value")
    value = parts["value"].strip().strip("'\"")
    if parts["operator"] not in ("==", "!=") and number(value) is None:
        raise ValueError(f"{condition!r} compares with {value!r}, which is no number; text can be == or !=")
    return Condition(parts["name"], parts["operator"], value)


def check_names(conditions: tuple[Condition, ...], known: set[str]) -> None:
    """Raise UsageError naming a fact that no member has, and the nearest that there is."""
    for condition in conditions:
        if condition.name not in known:
            some = f"; there are {', '.join(sorted(known)[:12])}" if known else "; nothing is known about members"
            near = did_you_mean(condition.name, known) or some
            raise UsageError(f"zoo.where: no member has a fact {condition.name!r}{near}")
