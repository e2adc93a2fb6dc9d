"""`moorage codes`: every message code with its level, its meaning, and the rows that emit it."""

import difflib
from collections.abc import Mapping
from typing import TextIO

import msgspec
from msgspec import Struct

import protocol.codes
from fsm.diagram import event_label
from fsm.kernel import Kind
from fsm.machines import MACHINES
from protocol.codes import Code

FORMATS = ("text", "json", "markdown")


class Entry(Struct, frozen=True):
    """One code as `--format json` gives it. `rows`: machine, id, state, label, and the level if it is another there."""

    code: str
    level: str
    text: str
    explains: str
    user: str
    rows: tuple[str, ...]
    outside: bool


def registry() -> dict[str, Code]:
    """Every registered code by name, in the registry's order."""
    return {value.name: value for value in vars(protocol.codes).values() if isinstance(value, Code)}


def entries(machines: Mapping[str, Kind] = MACHINES) -> list[Entry]:
    """All codes, with the rows that say them."""
    said: dict[str, list[str]] = {}
    known = registry()
    for kind in machines.values():
        for row in kind.rows:
            for code in row.says:
                own = known.get(code.name)
                level = f" (at {code.level})" if own is None or code.level != own.level else ""
                said.setdefault(code.name, []).append(
                    f"{kind.name} {row.id} {row.state.name} {event_label(row)}{level}"
                )
    return [
        Entry(code.name, code.level, code.text, code.explains, code.user, tuple(said.get(code.name, ())), code.outside)
        for code in known.values()
    ]


def codes_command(code: str | None, format: str, out: TextIO) -> int:
    """`moorage codes`: 0 and the page, or 2 and a sentence for an unknown code or format."""
    found = entries()
    if code is not None:
        names = [entry.code for entry in found]
        found = [entry for entry in found if entry.code == code.upper()]
        if not found:
            near = difflib.get_close_matches(code.upper(), names, n=1, cutoff=0.0)
            out.write(f"moorage codes: there is no code {code!r}; the nearest is {near[0]}\n")
            return 2
    match format:
        case "text":
            out.write("\n".join(text(entry) for entry in found))
        case "json":
            out.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
        case "markdown":
            out.write(markdown(found))
        case _:
            out.write(f"moorage codes: format {format!r} is unknown; there are {', '.join(FORMATS)}\n")
            return 2
    return 0


def text(entry: Entry) -> str:
    """One code for a terminal."""
    lines = [f"{entry.code}  {entry.level}", f"    {entry.text}", f"    {entry.explains}"]
    if entry.user:
        lines.append(f"    the user reads: {entry.user}")
    return "\n".join([*lines, *(f"    - {where}" for where in emitted(entry))]) + "\n"


def emitted(entry: Entry) -> tuple[str, ...]:
    """Where it comes from: rows, or a place that no machine can know (start-up, the listener, a crash)."""
    return (*entry.rows, *(("outside the machines",) if entry.outside else ()))


def markdown(found: list[Entry]) -> str:
    """`docs/codes.md`."""
    return HEAD + "".join(_section(entry) for entry in found)


HEAD = """# Message codes

Made from `protocol/codes.py` and the tables by `moorage codes --format markdown`; a test fails when it is stale.
`DOCKER_…`, `SSH_…`, `AUTH_…` and `SECURITY_…` are ContainerSSH's identifiers, so that alerts written for them go on
working; `MOORAGE_…` are ours. No code is ever renamed or reused. The rows are explained in [states](states/README.md).
"""


def _section(entry: Entry) -> str:
    lines = [f"\n## {entry.code}\n", f"Level **{entry.level}**: {entry.text.rstrip('.')}.\n", f"{entry.explains}\n"]
    if entry.user:
        lines.append(f"The user reads: “{entry.user}”\n")
    lines.append("Emitted by:\n")
    return "\n".join(lines) + "\n" + "".join(f"- {where}\n" for where in emitted(entry))
