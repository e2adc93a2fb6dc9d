"""`moorage status`: what each daemon on this state folder is doing, asked of itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import anyio

from actors.control import ask
from protocol.control import STATUS

COLUMNS = ("since", "machine", "actor", "state", "user", "from", "waiting for")


def sockets(state: Path) -> list[Path]:
    """The control sockets in a state folder, dead or alive."""
    return sorted((state / "boots").glob("*.sock"))


def answers(state: Path) -> list[tuple[Path, Any]]:
    """Where each living daemon is asked, and what it says of itself."""
    return [(path, answer) for path in sockets(state) if (answer := _answer(path)) is not None]


def status_command(state: Path, format: str, out: TextIO) -> int:
    """Print one table (or JSON) for all daemons. 0: some answered, 1: none runs there."""
    found = [answer for _, answer in answers(state)]
    if not found:
        out.write(f"no daemon runs on {state}\n")
        return 1
    if format == "json":
        out.write(json.dumps(found, indent=2) + "\n")
        return 0
    for answer in found:
        out.write(f"boot {answer['boot']} (pid {answer['pid']}, version {answer['version']}): ")
        out.write(f"{answer['state']} on {', '.join(answer['listen'])}, ")
        out.write(f"{answer['connections']} connections, engine API {answer['api']}; {_took(answer['process'])}\n")
        out.writelines(_pool(answer["pool"]))
        rows = [COLUMNS, *(_row(actor) for actor in answer["actors"])]
        widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
        for row in rows if len(rows) > 1 else ():
            out.write(
                "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
            )
    return 0


def _pool(pool: dict[str, Any]) -> Iterator[str]:
    """What is kept ready, by image; nothing where nothing is. A daemon of an older version knows no groups."""
    groups = [group for group in pool.get("groups", ()) if group["wanted"] or group["ready"] or group["filling"]]
    if groups:
        yield f"  ready for a login ({pool['hits']} have found one, {pool['misses']} have not):\n"
    for group in groups:
        yield f"    {group['ready']} of {group['wanted']}  {group['image']}\n"


def _took(process: dict[str, int]) -> str:
    memory = f"{process['rss_bytes'] / 2**20:.0f} MiB"
    return f"{memory}, {process['files']} of {process['files_max']} files, {process['tasks']} tasks"


def _answer(path: Path) -> Any | None:
    try:
        return anyio.run(ask, path, STATUS, backend="trio")
    except (OSError, TimeoutError, anyio.IncompleteRead):
        return None  # left by a crash, or just ending


def _row(actor: dict[str, Any]) -> tuple[str, ...]:
    deadlines = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in actor["deadlines"].items())
    return (
        f"{actor['age_s']:.1f} s",
        actor["machine"],
        actor["actor"],
        actor["state"],
        actor.get("username", ""),
        actor.get("remoteAddr", ""),
        deadlines,
    )
