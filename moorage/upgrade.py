"""`moorage upgrade`: ask the daemon that serves to let this version take its place."""

import sys
from pathlib import Path
from typing import Any, TextIO

import anyio

from actors.control import ANSWER_S, ask
from moorage.daemon import UPGRADE_S
from moorage.status import answers
from protocol import codes
from protocol.control import UPGRADE, UpgradeWish

SERVING = ("SERVING", "UPGRADING")


def upgrade_command(config: Path, state: Path, record: str | None, out: TextIO, err: TextIO) -> int:
    """0: a new process serves, 1: the old one goes on, or there is none."""
    serving = [(path, answer) for path, answer in answers(state) if answer["state"] in SERVING]
    if not serving:
        err.write(f"moorage: no daemon serves on {state}\n")
        return 1
    path, old = serving[0]
    argv = [sys.executable, "-P", "-m", "moorage", "serve", "--config", str(config.absolute()), "--take-over"]
    wish = UpgradeWish(argv=(*argv, *(("--record", str(Path(record).absolute())) if record else ())))
    try:
        new: dict[str, Any] = anyio.run(ask, path, UPGRADE, wish, UPGRADE_S + ANSWER_S, backend="trio")
    except (OSError, TimeoutError, anyio.IncompleteRead) as error:
        new = {"error": f"the daemon does not answer ({error})"}
    if why := new.get("error"):
        err.write(f"moorage: {codes.MOORAGE_UPGRADE_FAILED.name}: {why}; {told(old)} serves on\n")
        return 1
    out.write(f"{told(new)} serves now; {told(old)} serves its {old['connections']} connections to their end\n")
    return 0


def told(daemon: dict[str, Any]) -> str:
    """Which of two it is."""
    return f"boot {daemon['boot']} (pid {daemon['pid']}, version {daemon['version']})"
