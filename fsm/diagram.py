"""A machine's rows as a picture: mermaid text and graphviz text, the same rows that run.

In graphviz each state is a box that lists its rows, and one arrow leaves for each state that some of them lead to: a
label inside a box can never be mistaken for its neighbour's, however many rows a machine has. In mermaid the labels
stand at the arrows, one line a row. Reading: `id Event [guard] {deadline} CODE`.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from msgspec import Struct

from fsm.fingerprint import name_of
from fsm.kernel import Kind, Row

INK, FAINT, PAPER = "#1a1a1a", "#5f6368", "#ffffff"
PLAIN, FINAL, TRACK, TRACK_FILL = "#dfe7f1", "#e6e6e6", "#b3261e", "#fbe3c8"  # each pair differs in grey too
BREAK = '<BR ALIGN="LEFT"/>'
FONT = "Courier New,Courier,monospace"  # every monospaced font is as wide, so a table fits whoever draws it


class Visit(Struct, frozen=True):
    """One step of a recorded run: the row that fired, `seconds` after the header."""

    row: str
    seconds: float


class Track(Struct, frozen=True):
    """The way one actor took, step by step."""

    actor: str
    visits: tuple[Visit, ...]

    def of(self, row: Row) -> list[tuple[int, Visit]]:
        """When this row fired: its numbers in the run, counted from 1, with the visits."""
        return [(number, visit) for number, visit in enumerate(self.visits, 1) if visit.row == row.id]


def event_label(row: Row) -> str:
    """`Event [guard] {deadline}`."""
    guard = f" [{name_of(row.when)}]" if row.when else ""
    return f"{row.event.__name__}{guard}{f' {{{row.deadline}}}' if row.deadline else ''}"


def codes_label(row: Row) -> str:
    """The codes that the row says."""
    return ", ".join(code.name for code in row.says)


def grouped(kind: Kind, state: str, stays: bool) -> Iterator[tuple[str | None, list[Row]]]:
    """The rows of one state by where they lead, in the table's order; those that stay last, under None."""
    groups: dict[str | None, list[Row]] = {}
    for row in kind.rows:
        if row.state.name == state:
            to = row.to.name if row.to and row.to != row.state else None
            groups.setdefault(to, []).append(row)
    yield from ((to, rows) for to, rows in groups.items() if to is not None)
    if stays and None in groups:
        yield None, groups[None]


def visited(kind: Kind, track: Track | None) -> set[str]:
    """The states that the run was in."""
    if track is None:
        return set()
    rows = [kind.row[visit.row] for visit in track.visits if visit.row in kind.row]
    return {kind.initial.name, *(row.state.name for row in rows), *(row.to.name for row in rows if row.to)}


def times(row: Row, track: Track | None) -> str:
    """`3 at +0.212 s`, once for each time the row fired; of many the first three and how many more."""
    visits = track.of(row) if track else []
    told = [f"{number} at {visit.seconds:+.3f} s" for number, visit in visits[:3]]
    return ", ".join([*told, f"{len(visits) - 3} more"] if len(visits) > 3 else told)


# --- mermaid ---


def mermaid(kind: Kind, track: Track | None = None, stays: bool = True) -> str:
    """A `stateDiagram-v2`. Deadlines of a state and its stays stand in a note beside it."""
    been = visited(kind, track)
    lines = ["---", f"title: {title(kind, track)}", "---", "stateDiagram-v2"]
    lines += [f"    classDef {name} fill:{fill},stroke:{stroke},color:{INK}" for name, fill, stroke in CLASSES]
    lines.append(f"    [*] --> {kind.initial.name}")
    for state in kind.states:
        for to, rows in grouped(kind, state.name, stays):
            label = "<br/>".join(_mermaid_row(row, track) for row in rows)
            if to is None:
                lines += [f"    note right of {state.name}", "        stays on<br/>" + label, "    end note"]
            else:
                lines.append(f"    {state.name} --> {to}: {label}")
        if state.name in kind.final:
            lines.append(f"    {state.name} --> [*]")
        lines.append(f"    class {state.name} {_mermaid_class(kind, state.name, been)}")
    return "\n".join(lines) + "\n"


CLASSES = (("waiting", PLAIN, INK), ("ended", FINAL, INK), ("taken", TRACK_FILL, TRACK))


def _mermaid_class(kind: Kind, state: str, been: set[str]) -> str:
    return "taken" if state in been else "ended" if state in kind.final else "waiting"


def _mermaid_row(row: Row, track: Track | None) -> str:
    """Colons and semicolons end a label in mermaid; our names have none."""
    parts = [f"({taken})" if (taken := times(row, track)) else "", row.id, event_label(row), codes_label(row)]
    return " ".join(part for part in parts if part)


# --- graphviz ---


def dot(kind: Kind, track: Track | None = None, stays: bool = True) -> str:
    """A digraph: a box per state, an arrow per pair of states, the way taken in red with numbers and times."""
    been = visited(kind, track)
    lines = [
        f'digraph "{kind.name}" {{',
        f'  graph [rankdir=LR, fontname="{FONT}", fontsize=20, labelloc=t, labeljust=l, bgcolor="{PAPER}",',
        f'         label="{title(kind, track)}", nodesep=0.3, ranksep=0.8, pad=0.3];',
        f'  node [shape=plain, fontname="{FONT}", fontsize=11, fontcolor="{INK}"];',
        f'  edge [color="{FAINT}", arrowsize=0.8, penwidth=1.1];',
        f'  "[*]" [shape=circle, style=filled, fillcolor="{INK}", label="", width=0.18, fixedsize=true];',
        f'  "[*]" -> "{kind.initial.name}":head:w;',
    ]
    for state in kind.states:
        groups = list(grouped(kind, state.name, stays))
        lines.append(f'  "{state.name}" [label=<{_box(kind, state.name, groups, track, state.name in been)}>];')
        for to, rows in groups:
            if to is not None:
                lines.append(f'  "{state.name}":"to_{to}":e -> "{to}":head{_arrow(rows, track)};')
    return "\n".join([*lines, "}"]) + "\n"


def title(kind: Kind, track: Track | None) -> str:
    """What the picture shows; an actor's name is a stranger's text, so only plain letters of it."""
    if track is None:
        return f"{kind.name} machine"
    return f"{kind.name} machine, the way of {''.join(c for c in track.actor if c.isalnum() or c in '-_./ ')}"


def _arrow(rows: Sequence[Row], track: Track | None) -> str:
    return f' [color="{TRACK}", penwidth=3]' if any(times(row, track) for row in rows) else ""


def _box(
    kind: Kind, state: str, groups: Iterable[tuple[str | None, list[Row]]], track: Track | None, been: bool
) -> str:
    """An HTML-like table: the state and its deadlines, below it each row with its id, label, codes and target."""
    fill = TRACK_FILL if been else FINAL if state in kind.final else PLAIN
    edge, width = (TRACK, 3) if been else (INK, 1)
    span = ", ".join(name for name, states in kind.deadlines.items() if state in states)
    head = f'<TD COLSPAN="3" PORT="head" BGCOLOR="{fill}"><B><FONT POINT-SIZE="15">{state}</FONT></B>'
    head += f'<BR/><FONT POINT-SIZE="10">time limits: {escape(span)}</FONT></TD>' if span else "</TD>"
    cells = [f"<TR>{head}</TR>"]
    for to, rows in groups:
        for number, row in enumerate(rows):
            target = _target(to, len(rows), rows, track) if number == 0 else ""
            cells.append(f"<TR>{_cells(row, track)}{target}</TR>")
    rim = f'BORDER="{width}" COLOR="{edge}" BGCOLOR="{PAPER}" CELLBORDER="1" CELLSPACING="0" CELLPADDING="4"'
    table = f"<TABLE {rim}>{''.join(cells)}</TABLE>"
    if state in kind.final:
        return (
            f'<TABLE BORDER="{width}" COLOR="{edge}" CELLBORDER="0" CELLSPACING="3"><TR><TD>{table}</TD></TR></TABLE>'
        )
    return table


def _target(to: str | None, height: int, rows: Sequence[Row], track: Track | None) -> str:
    color = TRACK if any(times(row, track) for row in rows) else INK
    text = f"<B>{to}</B>" if to else "<I>stays</I>"
    port = f' PORT="to_{to}"' if to else ""
    return f'<TD ROWSPAN="{height}"{port} ALIGN="LEFT"><FONT COLOR="{color}">{text}</FONT></TD>'


def _cells(row: Row, track: Track | None) -> str:
    """The id, then event, guard and deadline over the codes; a row that fired is bold, red, with number and time."""
    taken = times(row, track)
    small = f'<FONT POINT-SIZE="9" COLOR="{FAINT}">'
    label = escape(event_label(row)).replace(" [", f"{BREAK}[", 1)
    if taken:
        label = f'<FONT COLOR="{TRACK}"><B>{label}</B>{BREAK}<B>{taken}</B></FONT>'
    codes = "".join(f"{BREAK}{small}{code.name}</FONT>" for code in row.says)
    return f'<TD ALIGN="LEFT">{small}{row.id}</FONT></TD><TD ALIGN="LEFT" BALIGN="LEFT">{label}{codes}</TD>'
