"""What goes wrong in a fake engine, written as one line per method.

    create_container: 1*off -> 2*fail(unavailable) -> off
    start_container: delay(0.2)
    pull_image: 30%fail(internal)

Terms hold one after the other: `N*` for N calls, without it for ever. `P%` lets the term act on that share of the
calls, drawn from the engine's seed. Actions:

    off            nothing goes wrong
    fail(CLASS)    refused with a fault of this class; nothing has happened
    lose(CLASS)    done, and then the answer is lost: the caller gets a fault of this class
    delay(S)       done after S seconds; from the time limit on, a timeout, and nothing has happened
    hang           no answer before the time limit, and nothing has happened
    late(S)        a timeout like hang, and S seconds later it happens all the same
"""

import re
from collections.abc import Iterable
from random import Random
from typing import get_args

from msgspec import Struct

from protocol.base import FaultClass

_TERM = re.compile(r"(?:(\d+)\*)?(?:(\d+)%)?(off|hang|(?:fail|lose|delay|late)\(([a-z_0-9.]+)\))")
_CLASSES: tuple[FaultClass, ...] = get_args(FaultClass)


class Action(Struct, frozen=True, kw_only=True):
    """What one call meets. `fault` goes with fail and lose, `seconds` with delay and late."""

    kind: str
    fault: FaultClass = "internal"
    seconds: float = 0.0


OFF = Action(kind="off")


class _Term(Struct):
    action: Action
    calls_left: int | None  # None: for ever
    percent: int


class Failpoints:
    """The lines of one engine. Deterministic: the same calls with the same seed meet the same actions."""

    def __init__(self, lines: Iterable[str], dice: Random) -> None:
        """Raises ValueError for a line that is not understood."""
        self._dice = dice
        self._terms: dict[str, list[_Term]] = {}
        for line in lines:
            self.set(line)

    def set(self, line: str) -> None:
        """Replace the terms of one method. Raises ValueError."""
        method, colon, rest = line.partition(":")
        if not colon or not method.strip():
            raise ValueError(f"not METHOD: TERM -> TERM…: {line!r}")
        self._terms[method.strip()] = [_parse(term.strip()) for term in rest.split("->")]

    def next(self, method: str) -> Action:
        """What the next call of `method` meets."""
        terms = self._terms.get(method, [])
        while terms:
            term = terms[0]
            if term.calls_left == 0:
                terms.pop(0)
                continue
            if term.calls_left is not None:
                term.calls_left -= 1
            return term.action if term.percent == 100 or self._dice.random() * 100 < term.percent else OFF
        return OFF


def _parse(text: str) -> _Term:
    match = _TERM.fullmatch(text)
    if match is None:
        raise ValueError(f"not a failpoint term: {text!r}")
    count, percent, action, argument = match.groups()
    kind = action.partition("(")[0]
    made = Action(kind=kind)
    if kind in ("fail", "lose"):
        fault = next((known for known in _CLASSES if known == argument), None)
        if fault is None:
            raise ValueError(f"not a fault class: {argument!r}; one of {', '.join(_CLASSES)}")
        made = Action(kind=kind, fault=fault)
    elif argument is not None:
        made = Action(kind=kind, seconds=float(argument))
    return _Term(made, None if count is None else int(count), 100 if percent is None else int(percent))
