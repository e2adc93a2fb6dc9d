"""`moorage diagram`: machines drawn from their rows, and the way a recorded run took through them.

SVG is laid out by graphviz, Debian's package of that name. `docs/states/` holds all machines in this form.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TextIO

from fsm.diagram import Track, Visit, codes_label, dot, event_label, mermaid
from fsm.kernel import Kind
from fsm.machines import MACHINES
from protocol.ledger import Scenario, Unreadable, read

FORMATS = ("mermaid", "dot", "svg")
NO_GRAPHVIZ = "SVG needs the program dot of graphviz: install it with `apt-get install graphviz`, or use --format dot"
LAYOUT_SECONDS_MAX = 120
GAP = 20  # points between two pictures in one file
PAPER = '<rect width="100%" height="100%" fill="white"/>\n'


class CannotDraw(Exception):
    """There is no picture; the text is one sentence saying why."""


def diagram_command(
    machine: str | None,
    format: str,
    path: str | None,
    out: TextIO,
    stays: bool = True,
    machines: Mapping[str, Kind] = MACHINES,
) -> int:
    """`moorage diagram`: 0 and the picture, or 2 and a sentence.

    Without a machine all are drawn, one below the other. `path` is a scenario: then each of its actors of that machine
    is drawn with the way it took, and without a machine each actor of all.
    """
    try:
        out.write(picture(machine, format, path, stays, machines))
    except CannotDraw as error:
        out.write(f"moorage diagram: {error}\n")
        return 2
    return 0


def picture(machine: str | None, format: str, path: str | None, stays: bool, machines: Mapping[str, Kind]) -> str:
    """The text of the wanted file. Raises `CannotDraw`."""
    if format not in FORMATS:
        raise CannotDraw(f"format {format!r} is unknown; there are {', '.join(FORMATS)}")
    if machine is not None and machine not in machines:
        raise CannotDraw(f"there is no machine {machine!r}; there are {', '.join(machines)}")
    drawn = [machines[machine]] if machine else list(machines.values())
    wanted: list[tuple[Kind, Track | None]] = [(kind, None) for kind in drawn]
    if path is not None:
        scenario = _scenario(Path(path))
        wanted = [(kind, track) for kind in drawn for track in tracks(scenario, kind.name)]
        if not wanted:
            raise CannotDraw(f"{path} holds no step of {f'the {machine}' if machine else 'any'} machine")
    if format == "mermaid":
        return "\n".join(mermaid(kind, track, stays) for kind, track in wanted)
    texts = [dot(kind, track, stays) for kind, track in wanted]
    return "\n".join(texts) if format == "dot" else stack([svg(text) for text in texts])


def tracks(scenario: Scenario, machine: str) -> list[Track]:
    """The way of each actor of that machine, in the order of their births. Steps that no row took leave no trace."""
    visits: dict[str, list[Visit]] = {}
    for line in scenario.lines:
        if line.machine == machine:
            way = visits.setdefault(line.actor, [])
            match line.answer:
                case {"type": "moved", "row": str(row)}:
                    way.append(Visit(row, line.clock))
    return [Track(actor, tuple(way)) for actor, way in visits.items()]


def svg(text: str) -> str:
    """Graphviz's layout of one digraph, with the hash of the text in it, by which a stale file is known."""
    program = shutil.which("dot")
    if program is None:
        raise CannotDraw(NO_GRAPHVIZ)
    try:
        done = subprocess.run(
            [program, "-Tsvg"], input=text, capture_output=True, text=True, check=True, timeout=LAYOUT_SECONDS_MAX
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotDraw(f"graphviz failed: {(getattr(error, 'stderr', None) or str(error)).strip()}") from None
    body = done.stdout[done.stdout.index("<svg") :]
    return f"<!-- rows {digest(text)} -->\n{body}"


def digest(text: str) -> str:
    """What a picture's text is known by: layouts differ from one graphviz and one font to the next, this does not."""
    return sha256(text.encode()).hexdigest()


def stack(pictures: Sequence[str]) -> str:
    """Several SVGs as one, each below the one before."""
    if len(pictures) == 1:
        return pictures[0]
    placed, width, height = [], 0.0, 0.0
    for one in pictures:
        size = re.search(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"', one)
        assert size, "graphviz gives each picture a size in points"
        placed.append(one.replace("<svg ", f'<svg y="{height:g}" ', 1).replace('pt"', '"'))
        width, height = max(width, float(size[1])), height + float(size[2]) + GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}pt" height="{height:g}pt"'
    return f'{head} viewBox="0 0 {width:g} {height:g}">\n{PAPER}{"".join(placed)}</svg>\n'


def page(kind: Kind) -> str:
    """A machine's rows as a markdown table, below its picture."""
    lines = [
        f"## {kind.name}",
        "",
        f"[![The {kind.name} machine]({kind.name}.svg)]({kind.name}.svg)",
        "",
        f"Begins in `{kind.initial.name}`, ends in {_names(kind.final)}.",
        "",
    ]
    limits = [f"- `{name}` runs in {_names(states, kind)}" for name, states in kind.deadlines.items()]
    if limits:
        lines += ["Time limits:", "", *limits, ""]
    lines += ["| row | in state | on | goes to | says |", "|---|---|---|---|---|"]
    for row in kind.rows:
        to = row.to.name if row.to else "stays"
        lines.append(
            f"| {row.id} | {row.state.name} | {escape(event_label(row), quote=False)} | {to} | {codes_label(row)} |"
        )
    return "\n".join(lines) + "\n"


def index(machines: Mapping[str, Kind] = MACHINES) -> str:
    """`docs/states/README.md`."""
    return INDEX + "\n" + "\n".join(page(kind) for kind in machines.values())


INDEX = """# The machines

Made from the tables in `fsm/` by `MOORAGE_UPDATE=1 pytest tests/moorage/test_diagram.py`; a test fails when a page or
picture is stale. Each machine is here as `.svg` (to look at) and as `.mmd` (mermaid).

How to read a picture: each box is a state, with the time limits that run in it. Each line in it is a row of the
table: its id, the event it waits for, `[the guard]` that must hold, `{the time limit}` that a `DeadlinePassed` is
about, and below it the message codes it logs. Of several rows for one event the first whose guard holds is taken.
On the right stands where it leads, and an arrow goes there. *stays*: the event is expected here and does not change the
state. A double border is an end. An event that has no row in a state is refused, logged, and written to the scenario.

`moorage diagram MACHINE --path SCENARIO` draws the way a recorded run took: states and rows in red, each row with the
numbers of the steps and the seconds since the recording began.
"""


def _names(states: frozenset[str], kind: Kind | None = None) -> str:
    """In the order of the table where there is one, so that a page is the same every time."""
    ordered = [state.name for state in kind.states if state.name in states] if kind else sorted(states)
    return ", ".join(f"`{name}`" for name in ordered)


def _scenario(path: Path) -> Scenario:
    try:
        return read(path.read_bytes())
    except (OSError, Unreadable) as error:
        raise CannotDraw(f"{path} cannot be read: {error}") from None
