"""The whole of a machine's answers, written down: every state, every event, and every value a guard looks at.

One file per machine in `tests/golden/`. Under each event first the answer with the usual cell and values; variants
are named only where they are answered otherwise. `EVENT VARIANT | CELL VARIANT` is how they are named; an
event variant alone is answered so with every cell.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from fsm.kernel import Answer, Cell, Kind, Moved, Row
from protocol.base import DeadlinePassed, Event
from tests.fsm.specimens import cell_in, known_events, pairs, variants

GOLDEN = Path(__file__).parents[1] / "golden"
NOT_SHOWN = frozenset({"state", "arms", "armed"})


class Case(NamedTuple):
    """One step that was asked for. `answer` is None where the cell cannot be in that state."""

    state: str
    event: Event
    of_event: str
    of_cell: str
    answer: Answer | None
    before: dict[str, Any]
    after: dict[str, Any]


def remade(kind: Kind, rows: Iterable[Row]) -> Kind:
    """The same machine with other rows."""
    spans = {name: [kind.states[state] for state in span] for name, span in kind.deadlines.items()}
    final = [kind.states[state] for state in kind.final]
    return Kind(kind.name, kind.states, kind.initial, rows, spans, final, kind.cell)


def cases(kind: Kind) -> Iterator[Case]:
    """Every state with every event; the usual one of each event first."""
    for state in kind.states:
        if state.name in kind.final:
            continue
        armed = cell_in(kind, state, {}).armed
        for name in sorted(kind.deadlines):
            late = DeadlinePassed(name=name, arm=armed.get(name, 99))
            for label, values in variants(kind).items():
                yield _case(kind, cell_in(kind, state, values), late, "", label)
        for event in known_events(kind):
            for of_event, sample, of_cell, values in pairs(event, kind):
                yield _case(kind, cell_in(kind, state, values), sample, of_event, of_cell)


def _case(kind: Kind, cell: Cell, event: Event, of_event: str, of_cell: str) -> Case:
    before = msgspec.structs.asdict(cell)
    before["armed"], before["seconds"] = dict(cell.armed), dict(cell.seconds)
    try:
        answer: Answer | None = kind.step(cell, event)
    except AssertionError:
        answer = None
    return Case(before["state"], event, of_event, of_cell, answer, before, msgspec.structs.asdict(cell))


def written(kind: Kind) -> str:
    """The text of the golden file."""
    lines = [f"The {kind.name} machine. Variants that are not named are answered like the first one, the usual."]
    for state, of_state in groupby(cases(kind), lambda case: case.state):
        lines += ["", f"== {state}"]
        silent: dict[str, list[str]] = {"stale": [], "refused": []}
        for name, of_event in groupby(of_state, _name):
            answers: dict[str, list[Case]] = {}
            asked = list(of_event)
            for case in asked:
                answers.setdefault(told(kind, case), []).append(case)
            (usual, _), *others = answers.items()
            if not others and usual in ("    stale", "    refused"):
                silent[usual.strip()].append(name)
                continue
            lines += ["", name, usual]
            for text, those in others:
                lines += [f"  {' / '.join(_labels(those, asked))}", text]
        lines += [f"\n{word}: {', '.join(sorted(names))}" for word, names in silent.items() if names]
    return "\n".join(lines) + "\n"


def _labels(some: list[Case], asked: list[Case]) -> Iterator[str]:
    """`EVENT`, `CELL` or `EVENT | CELL`; one `EVENT` where it is so with every cell that it was asked with."""
    for of_event, group in groupby(some, lambda case: case.of_event):
        cells = [case.of_cell for case in group]
        if of_event and len(cells) == sum(case.of_event == of_event for case in asked):
            yield of_event
        else:
            yield from (" | ".join(part for part in (of_event, of_cell) if part) for of_cell in cells)


def _name(case: Case) -> str:
    name = type(case.event).__name__
    return f"{name} {case.event.name}" if isinstance(case.event, DeadlinePassed) else name


def told(kind: Kind, case: Case) -> str:
    """One answer: row, target, what is armed after it, what is said; then what is asked for, and what is noted."""
    match case.answer:
        case None:
            return "    impossible"
        case Moved(row=id, source=source, target=target, effects=effects):
            head = f"    {id} {'stays' if target == source else f'-> {target}'}"
            if armed := case.after["armed"]:
                head += f" {{{', '.join(sorted(armed))}}}"
            if says := kind.row[id].says:
                head += " says " + ", ".join(f"{code.name} ({code.level})" for code in says)
            lines = [head, *(f"        {effect!r}" for effect in effects)]
            lines += [f"        {name} = {new!r}" for name, new in changes(case.before, case.after)]
            return "\n".join(lines)
    return f"    {type(case.answer).__name__.lower()}"


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any]]:
    """The fields of the cell that the step has set anew."""
    return [(name, value) for name, value in after.items() if name not in NOT_SHOWN and value != before[name]]


def guard_values(kind: Kind) -> set[tuple[str, bool]]:
    """Row id and value, for each guard that the grid has asked and the value it gave."""
    seen: set[tuple[str, bool]] = set()

    def watched(row: Row) -> Row:
        if row.when is None:
            return row
        when = row.when

        def guard(cell: Cell, event: Event) -> bool:
            value = when(cell, event)
            seen.add((row.id, value))
            return value

        return replace(row, when=guard)

    for _ in cases(remade(kind, map(watched, kind.rows))):
        pass
    return seen
