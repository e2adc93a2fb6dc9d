"""From a run's recording to `scenarios/NAME.jsonl`: the same steps, with names that hold on any machine."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from moorage.replay import replay_command
from protocol.ledger import read, write
from tests.e2e.runs import Run, Setup

HOME = Path(__file__).parents[2]
FOLDER = HOME / "scenarios"
README = FOLDER / "README.md"
KEEP_IN = "MOORAGE_KEEP_SCENARIOS"  # environment: the folder to write recordings to

INTRO = """# Scenarios

Each was recorded from the run of that name in `tests/e2e/`, and the tests replay it with today's machines.
`make scenarios` records them anew and writes this table; [docs/scenarios.md](../docs/scenarios.md) describes the
format. The engine is a real one, or, where it has to fail on command, the one in memory (`moorage.testing`).

    moorage replay --explain scenarios/pull-never-absent.jsonl
    moorage diagram image --path scenarios/pull-never-absent.jsonl --format svg -o path.svg

| scenario | what it shows | mode | engine | how it ends |
|---|---|---|---|---|
"""


def neutral(recording: bytes, aliases: Mapping[str, str]) -> bytes:
    """The recording with other names, sealed anew. Longer names first: one may be a part of another."""
    aliases = {**_engine(read(recording).header.settings), **aliases}
    for name in sorted(aliases, key=len, reverse=True):
        recording = recording.replace(name.encode(), aliases[name].encode())
    scenario = read(recording)
    assert scenario.end is not None
    return write(scenario.header, scenario.lines, scenario.end.why)


def _engine(settings: Mapping[str, Any]) -> dict[str, str]:
    """An engine of the run's own has an address of its own."""
    where = urlsplit(settings["docker"]["connection"]["host"])
    if where.scheme == "unix":
        return {where.path: "engine.sock"}
    return {where.netloc: "engine.example:2375"} if where.netloc else {}


def keep(run: Run, setup: Setup) -> None:
    """Write the run's recording, if that is wanted; it must replay under its new names too."""
    folder = os.environ.get(KEEP_IN)
    if folder is None:
        return
    path = Path(folder) / f"{run.name}.jsonl"
    path.write_bytes(neutral(setup.scenarios[run.kept][0].read_bytes(), setup.aliases()))
    out = io.StringIO()
    assert replay_command([str(path)], False, False, out) == 0, out.getvalue()


def table(runs: Mapping[str, Run]) -> str:
    """`scenarios/README.md`."""
    rows = []
    for name, run in runs.items():
        about = " ".join(run.about.split())
        engine = "real" if "engine" in run.needs else "in memory"
        rows.append(f"| [{name}]({name}.jsonl) | {about} | {run.mode} | {engine} | {run.end} |\n")
    return INTRO + "".join(rows)
