"""The daemon killed while programs of the operator's run beside it: they, and what they have started, go with it."""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.crash.test_real import NOWHERE, Client, configure, said, start, until
from tests.e2e.runs import Setup

pytestmark = [pytest.mark.engine, pytest.mark.openssh]
GONE_S_MAX = 5.0
HELPER = "held"


def marked(mark: str) -> dict[int, str]:
    """Number and command line of the processes that have this word in theirs, zombies left out."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if mark in line:
                found[int(path.parent.name)] = line
    return found


def keys_command(folder: Path, program: str) -> None:
    """Who may come in is asked of a program."""
    path = folder / "config.yaml"
    settings: dict[str, Any] = json.loads(path.read_text())
    user = {"user": "nobody"} if os.geteuid() == 0 else {}
    command = {"command": ["/bin/sh", "-c", program], "timeout": "60s", **user}
    path.write_text(json.dumps({**settings, "auth": {"authorizedKeysCommand": command}}))


def credential_helper(folder: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image is pulled, and who we are to its registry is asked of a program."""
    path = folder / f"docker-credential-{HELPER}"
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    (folder / "config.json").write_text(json.dumps({"credsStore": HELPER}))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize("what", ["authorizedKeysCommand", "credential helper"])
def test_they_go_with_it(what: str, setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, mark = setup.folder, f"9{time.time_ns()}"
    program = f"sleep {mark}1 & sleep {mark}2; true"
    configure(folder, setup.image, NOWHERE, 0)
    if what == "credential helper":
        credential_helper(folder, program, monkeypatch)
    else:
        keys_command(folder, program)
    daemon, client = start(folder, ["-m", "moorage"], "first.log"), None
    try:
        until("it is not ready", lambda: said(folder, "first.log", "MOORAGE_READY"))
        port = int(said(folder, "first.log", "MOORAGE_READY")[0]["listen"][0].rpartition(":")[2])
        client = Client(folder / "said", port, False, folder / "user_key")
        until("not started", lambda: sum(line.startswith("sleep ") for line in marked(mark).values()) == 2)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        killed = time.monotonic()
        until(lambda: marked(mark), lambda: not marked(mark))
        assert time.monotonic() - killed < GONE_S_MAX
    finally:
        daemon.kill()
        daemon.wait()
        if client is not None:
            client.close()
        for number in marked(mark):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
