"""Fold a scenario's events through fresh cells of today's tables, and compare every answer with the recorded one."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields, replace

from fsm.fingerprint import fingerprints
from fsm.kernel import Answer, Cell, Kind
from fsm.machines import MACHINES, events, read_event
from moorage.explain import story
from moorage.version import VERSION
from protocol.base import Effect, Event
from protocol.ledger import Line, Scenario, Unreadable, read, write


class Verdict(IntEnum):
    """The exit code for one file."""

    EQUAL = 0
    DEFECT = 1  # same tables, other answer; or a file that is incomplete or was changed
    UNREADABLE = 2
    OTHER_TABLES = 3  # other tables, other answer


# Of several files the worst is told: a proven defect before a file that proves nothing.
WORSE = (Verdict.EQUAL, Verdict.OTHER_TABLES, Verdict.UNREADABLE, Verdict.DEFECT)


class Difference(Struct, frozen=True):
    """One recorded answer that today's tables do not give. `state` is the fresh cell's before the event."""

    line: Line
    state: str
    got: Any

    def __str__(self) -> str:
        """Line (of the file; the header is line 1), actor, state, expected, got."""
        event = self.line.event.get("event", "?") if isinstance(self.line.event, dict) else "?"
        return (
            f"  line {self.line.seq + 1}: actor {self.line.actor} ({self.line.machine}), "
            f"state {self.state}, on {event}\n"
            f"    expected {brief(self.line.answer)}\n"
            f"    got      {brief(self.got)}"
        )


class Crashed(Struct, frozen=True, tag="crashed"):
    """Today's machine raised an error instead of giving an answer."""

    error: str


class Unknown(Struct, frozen=True, tag="unknown"):
    """Today's machines do not know this machine or this event."""

    error: str


def replay(
    scenario: Scenario, machines: Mapping[str, Kind] = MACHINES
) -> tuple[tuple[Line, ...], tuple[Difference, ...]]:
    """The lines with today's answers in them, and where these differ from the recorded ones."""
    known = events(machines.values())
    cells: dict[tuple[str, str], Cell] = {}
    lines: list[Line] = []
    differences: list[Difference] = []
    for line in scenario.lines:
        kind = machines.get(line.machine)
        cell = None
        if kind is not None:
            cell = cells.setdefault((line.actor, line.machine), kind.cell())
        state = cell.state if cell else "?"
        got = as_recorded(_answer(kind, cell, line, known))
        lines.append(replace(line, answer=got))
        if not agrees(got, line.answer):
            differences.append(Difference(line, state, got))
    return tuple(lines), tuple(differences)


def as_recorded(answer: Any) -> Any:
    """An answer as it reads after a way through the file."""
    return msgspec.json.decode(msgspec.json.encode(answer))


def agrees(got: Any, recorded: Any) -> bool:
    """Are they the same? A field that a message has only now agrees with its default."""
    if got == recorded:
        return True
    match got, recorded:
        case dict(), dict():
            defaults = _defaults(got.get("effect") or got.get("event") or "")
            absent = got.keys() - recorded.keys()
            return (
                recorded.keys() <= got.keys()
                and all(name in defaults and got[name] == defaults[name] for name in absent)
                and all(agrees(got[name], recorded[name]) for name in recorded)
            )
        case list(), list():
            return len(got) == len(recorded) and all(map(agrees, got, recorded))
    return False


@cache
def _defaults(tag: str) -> dict[str, Any]:
    """Of the message with this tag, as a file holds them."""
    for kind in (*_below(Event), *_below(Effect)):
        if kind.__struct_config__.tag == tag:
            return {one.name: as_recorded(one.default) for one in fields(kind) if one.default is not NODEFAULT}
    return {}


def _below(kind: type[Struct]) -> Iterator[type[Struct]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)


def changed_machines(scenario: Scenario, machines: Mapping[str, Kind] = MACHINES) -> list[str]:
    """The machines in this file, the kernel included, whose tables are not those that recorded it."""
    today = fingerprints(machines)
    used = ["kernel", *sorted({line.machine for line in scenario.lines})]
    return [name for name in used if today.get(name) != scenario.header.fingerprint.get(name)]


def brief(answer: Any) -> str:
    """An answer in one line: row, way, effects."""
    match answer:
        case {"type": "moved", "row": row, "source": source, "target": target, "effects": effects}:
            return f"{row} {source} -> {target}, asks {msgspec.json.encode(effects).decode()}"
        case {"type": str(name), **more}:
            return f"{name} {msgspec.json.encode(more).decode()}"
    return msgspec.json.encode(answer).decode()


def replay_command(
    paths: Sequence[str], explain: bool, accept: bool, out: TextIO, machines: Mapping[str, Kind] = MACHINES
) -> int:
    """`moorage replay`: the worst verdict of all files (docs/scenarios.md). `accept` rewrites answers, never events."""
    verdicts = [_one(Path(path), explain, accept, out, machines) for path in paths]
    return int(max(verdicts, key=WORSE.index, default=Verdict.EQUAL))


def _answer(kind: Kind | None, cell: Cell | None, line: Line, known: tuple[Any, ...]) -> Answer | Crashed | Unknown:
    if kind is None or cell is None:
        return Unknown(f"there is no machine {line.machine!r}")
    try:
        event = read_event(line.event, known)
    except (msgspec.ValidationError, RecursionError) as error:
        return Unknown(str(error))
    try:
        return kind.step(cell, event)
    except Exception as error:  # whatever a table does with a strange event, replay tells it and goes on
        return Crashed(f"{type(error).__name__}: {error}")


def _one(path: Path, explain: bool, accept: bool, out: TextIO, machines: Mapping[str, Kind]) -> Verdict:
    try:
        scenario = read(path.read_bytes())
    except OSError as error:
        out.write(f"{path}: unreadable: {error.strerror or error}\n")
        return Verdict.UNREADABLE
    except Unreadable as error:
        out.write(f"{path}: unreadable: {error}\n")
        return Verdict.UNREADABLE
    if explain:
        out.write("\n".join(story(scenario, machines)) + "\n")
    lines, differences = replay(scenario, machines)
    changed = changed_machines(scenario, machines)
    if accept and (differences or changed) and not scenario.damage:
        return _accept(path, scenario, lines, differences, changed, out, machines)
    return _judge(path, scenario, differences, changed, out)


def _judge(
    path: Path, scenario: Scenario, differences: tuple[Difference, ...], changed: list[str], out: TextIO
) -> Verdict:
    """Tell what was found. The first difference is told in full; what follows in the same run often follows from it."""
    steps = f"{len(scenario.lines)} step{'s' if len(scenario.lines) != 1 else ''}"
    tables = f"recorded by Moorage {scenario.header.moorage}, other tables since: {', '.join(changed)}"
    if scenario.damage:
        out.write(f"{path}: not whole: {'; '.join(scenario.damage)}\n")
    if differences:
        out.write(
            f"{path}: {'other tables' if changed else 'defect'}: {len(differences)} of {steps} answered otherwise"
        )
        out.write(f" ({tables}; that version can prove it)\n" if changed else " by the same tables\n")
        out.write(f"{differences[0]}\n")
    if scenario.damage:
        return Verdict.DEFECT
    if differences:
        return Verdict.OTHER_TABLES if changed else Verdict.DEFECT
    out.write(f"{path}: equal, {steps}{f' ({tables})' if changed else ''}\n")
    return Verdict.EQUAL


def _accept(
    path: Path,
    scenario: Scenario,
    lines: tuple[Line, ...],
    differences: tuple[Difference, ...],
    changed: list[str],
    out: TextIO,
    machines: Mapping[str, Kind],
) -> Verdict:
    """Rewrite the answers and the fingerprint. Refused where today's machines give no answer at all."""
    if any(difference.got["type"] in ("crashed", "unknown") for difference in differences):
        out.write(f"{path}: not accepted: today's machines cannot take every event\n")
        return _judge(path, scenario, differences, changed, out)
    header = replace(scenario.header, moorage=VERSION, fingerprint=fingerprints(machines))
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(write(header, lines, scenario.end.why if scenario.end else ""))
        shutil.copymode(path, beside)
        os.replace(beside, path)
    except OSError as error:
        out.write(f"{path}: not accepted: {error.strerror or error}\n")
        return Verdict.UNREADABLE
    for difference in differences:
        out.write(f"{difference}\n")
    out.write(f"{path}: accepted, {len(differences)} of {len(lines)} answers rewritten")
    out.write(f", fingerprint of {', '.join(changed)}\n" if changed else "\n")
    return Verdict.EQUAL
