"""The real daemon, killed in each state on the real engine: the next start leaves nothing of it.

Looked for at the engine (containers, volumes), among the processes and in the cgroups, and in the daemon's own folder.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, field

from fsm.machines import KINDS
from tests.crash.left import Before
from tests.e2e.harness import USER
from tests.e2e.process import HOME
from tests.e2e.runs import Setup
from tests.e2e.test_process import OPTIONS

pytestmark = [pytest.mark.engine, pytest.mark.openssh, pytest.mark.slow]
SECONDS_MAX = 60.0
TIMES: dict[str, float] = {}

EXEC: dict[str, Any] = {"transport": "exec"}
SESSION: dict[str, Any] = {"transport": "exec", "mode": "session"}
SERVED: dict[str, Any] = {"transport": "served"}
NOWHERE: dict[str, Any] = {**EXEC, "imagePullPolicy": "Always", "container": {"Image": "127.0.0.1:9/nobody/has:it"}}


class Case(Struct, frozen=True, kw_only=True):
    """`then`: what happens once the program has said `ready`. `lost`: whose first answer is lost."""

    machine: str
    states: str
    how: dict[str, Any] = field(default_factory=lambda: EXEC)
    lost: str = "-"
    then: str = ""
    pool: int = 0
    tty: bool = False


CASES = (
    Case(machine="connection", states="HANDSHAKING LANDING SERVING"),
    Case(machine="connection", states="STRANDED", then="kill the container"),
    Case(machine="connection", states="DRAINING", then="TERM"),
    Case(machine="connection", states="CLOSED", then="leave"),
    Case(machine="auth", states="IDLE CHECKING GRANTED"),
    Case(machine="session", states="LANDING CREATING ATTACHING RUNNING"),
    Case(machine="session", states="SPAWNING", how=SERVED),
    Case(machine="session", states="CREATING_AGAIN", lost="create_exec"),
    Case(machine="session", states="READING_EXIT CLOSING ENDED", then="end"),
    Case(machine="session", states="AWAITING_EXIT", how=SESSION, then="end"),
    Case(machine="session", states="READING_EXIT_AGAIN", lost="inspect_exec", then="end"),
    Case(machine="container", states="RESOLVING CREATING STARTING RUNNING"),
    Case(machine="container", states="ATTACHING", how=SESSION),
    Case(machine="container", states="LINKING", how=SERVED),
    Case(machine="container", states="UNLINKED", how=SERVED, then="kill the container"),
    Case(machine="container", states="CREATING_AGAIN", lost="create_container"),
    Case(machine="container", states="ATTACHING_AGAIN REPLACING", how=SESSION, lost="attach_container"),
    Case(machine="container", states="STARTING_AGAIN", lost="start_container"),
    Case(machine="container", states="UNWATCHED", lost="wait_container"),
    Case(machine="container", states="REMOVING REMOVED", then="leave"),
    Case(machine="container", states="REMOVING_AGAIN", lost="remove_container", then="leave"),
    Case(machine="container", states="STOPPING", then="TERM TERM"),
    Case(machine="container", states="PULLING FAILED", how=NOWHERE),
    Case(machine="image", states="INSPECTING READY"),
    Case(machine="image", states="INSPECTING_AGAIN", lost="inspect_image"),
    Case(machine="image", states="PULLING PULLING_AGAIN FAILED", how=NOWHERE),
    Case(machine="terminal", states="IDLE CLOSED", tty=True, then="end"),
    Case(machine="spare", states="FILLING READY CLAIMED", pool=1),
    Case(machine="spare", states="LOST", pool=1, then="kill the container"),
    Case(machine="spare", states="RETIRED", pool=1, then="TERM"),
    Case(machine="call", states="create_container start_container remove_container", how=SERVED),
    Case(machine="call", states="wait_container"),  # where the agent's link does not tell of the end
    Case(machine="server", states="SERVING"),
    Case(machine="server", states="DRAINING", then="TERM"),
    Case(machine="server", states="TERMINATING", then="TERM TERM"),
)
# States that are not killed in here, and why that is no loss. The rows into them are among those of `test_rows`.
LOGIN = "no container is made before a login is granted, and spares are killed in all their states"
TIMER = "it asks the engine for nothing: what there is is its connection's, which is killed in SERVING"
ENDED = "entered as the daemon or the last of the actor ends: there is no moment to be killed in"
SIZE = "needs a client that resizes; asks the engine for a size, which lives in the container"
SIGNAL = "needs a client that sends signals; asks the engine for one, which the container gets or not"
ELSEWHERE = {
    **{f"auth {state}": LOGIN for state in ("AUTHORIZING", "AUTHORIZING_AGAIN", "CHECKING_AGAIN", "LEFT")},
    **{f"auth {state}": LOGIN for state in ("PENDING", "POLLING", "PROMPTING", "SHOWING")},
    **{f"auth {state}": LOGIN for state in ("CONFIGURING", "CONFIGURING_AGAIN")},
    **{f"timer {state}": TIMER for state in ("WAITING", "MEASURING", "MEASURING_AGAIN", "WARNED", "ENDING", "DONE")},
    "server UPGRADING": "it serves as before; the new process makes its probe only, which is among the calls",
    "server RETIRING": "tests/e2e/test_upgrade.py kills it beside its successor",
    **{f"terminal {state}": SIZE for state in ("RESIZING", "RESIZING_AGAIN")},
    **{f"signal {state}": SIGNAL for state in ("SENDING", "SENDING_AGAIN", "SENT", "FAILED")},
    **dict.fromkeys(("server KILLING", "server STOPPED", "connection CLOSING", "image ABANDONED"), ENDED),
    "session DRAINING": "what is written before the exit status is sent: it asks the engine for nothing",
    "spare FAILED": "its container has failed, as that of a login in container FAILED",
}
MANY = 20


def each() -> list[tuple[Case, str]]:
    return [(case, state) for case in CASES for state in case.states.split()]


def start(folder: Path, arguments: Sequence[str], log: str) -> subprocess.Popen[bytes]:
    with (folder / log).open("wb") as out:
        return subprocess.Popen(
            [sys.executable, *arguments, "serve", "--config", "config.yaml"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, "PYTHONPATH": str(HOME)},
        )  # fmt: skip


def said(folder: Path, log: str, code: str) -> list[dict[str, Any]]:
    lines = (folder / log).read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    return [line["details"] for line in found if line["code"] == code]


def until(what: Any, holds: Any) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.02)


def configure(folder: Path, image: str, how: dict[str, Any], pool: int, engine: str = "") -> None:
    execution = {
        "container": {"Image": image, "Volumes": {"/of-its-own": {}}}, "host": {"NetworkMode": "none"},
        "imagePullPolicy": "IfNotPresent", **how,
    }  # fmt: skip
    settings = {
        "ssh": {"listen": "127.0.0.1:0", "hostkeys": ["host_key"]},
        "log": {"level": "debug"},
        "docker": {
            "execution": execution,
            "pool": {"size": pool},
            **({"connection": {"host": engine}} if engine else {}),
        },
        "auth": {"users": {USER: {"authorizedKeys": ["user_key.pub"]}}},
        "shutdown": {"grace": "30s", "kill": "5s"},
        "state": "state",
    }
    (folder / "config.yaml").write_text(json.dumps(settings))


class Client:
    """OpenSSH's client, whose program says `ready` and waits for a line."""

    def __init__(self, said: Path, port: int, tty: bool, key: Path) -> None:
        flags = [flag for option in OPTIONS for flag in ("-o", option)] + (["-tt"] if tty else [])
        args = ["ssh", "-F", "none", "-i", str(key), "-p", str(port), *flags, f"{USER}@127.0.0.1"]
        self.said = said
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(
                [*args, "echo ready; read line; exit 3"], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL
            )

    def is_ready(self) -> bool:
        return b"ready" in self.said.read_bytes()

    def act(self, then: str, daemon: subprocess.Popen[bytes], before: Before) -> None:
        for word in ("kill the container",) if then.startswith("kill") else then.split():
            match word:
                case "kill the container":
                    before.kill_all()
                case "TERM":
                    daemon.terminate()
                    time.sleep(0.3)
                case "leave":
                    self.process.kill()
                    time.sleep(1.0 if "TERM" in then else 0.0)
                case "end":
                    self.go_on()

    def go_on(self) -> None:
        """Its program ends."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(b"go on\n")
            self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize(("case", "state"), each(), ids=lambda it: it if isinstance(it, str) else it.machine)
def test_killed_in_a_state(setup: Setup, case: Case, state: str) -> None:
    folder = setup.folder
    configure(folder, setup.image, case.how, case.pool)
    daemon = start(folder, ["-m", "tests.crash.doomed", case.machine, state, case.lost], "first.log")
    before, client = Before(folder / "state"), None
    try:
        until("it is not ready", lambda: daemon.poll() is not None or said(folder, "first.log", "MOORAGE_READY"))
        if daemon.poll() is None:
            if case.pool:
                time.sleep(1.5)
            port = int(said(folder, "first.log", "MOORAGE_READY")[0]["listen"][0].rpartition(":")[2])
            client = Client(folder / "said", port, case.tty, folder / "user_key")
            until("no program", lambda: client.is_ready() or daemon.poll() is not None or not case.then)
            before.note()
            client.act(case.then, daemon, before)
        until(lambda: f"{state} was not reached", lambda: daemon.poll() is not None)
        assert daemon.returncode == -signal.SIGKILL, (folder / "first.log").read_text()[-3000:]
    finally:
        daemon.kill()
        daemon.wait()
        if client is not None:
            client.close()
    before.note()
    recover(setup, case, state, before)


def test_twenty_sessions(setup: Setup) -> None:
    """As many as are promised to be gone 5 s after the engine's first answer."""
    folder = setup.folder
    configure(folder, setup.image, EXEC, 0)
    daemon = start(folder, ["-m", "moorage"], "first.log")
    before = Before(folder / "state")
    clients: list[Client] = []
    try:
        until("it is not ready", lambda: said(folder, "first.log", "MOORAGE_READY"))
        port = int(said(folder, "first.log", "MOORAGE_READY")[0]["listen"][0].rpartition(":")[2])
        for _ in range(MANY):
            clients.append(Client(folder / f"{len(clients)}", port, False, folder / "user_key"))
            until("no program", clients[-1].is_ready)
        before.note()
        assert len(before.ids) == len(before.volumes) == MANY
    finally:
        daemon.kill()
        daemon.wait()
        for client in clients:
            client.close()
    assert len(before.names()) == MANY, "a killed daemon removes nothing"
    recover(setup, CASES[0], f"with {MANY} sessions", before)


def recover(setup: Setup, case: Case, state: str, before: Before) -> None:
    """Start it again, with nothing to do, and wait until nothing is left of the first."""
    configure(setup.folder, setup.image, EXEC, 0)
    daemon = start(setup.folder, ["-m", "moorage"], "second.log")
    try:
        until("it is not ready", lambda: said(setup.folder, "second.log", "MOORAGE_READY"))
        ready = time.monotonic()
        until(before.left, lambda: not before.left())
        TIMES[f"{case.machine} {state}"] = time.monotonic() - ready
        daemon.terminate()
        assert daemon.wait(SECONDS_MAX) == 0
    finally:
        daemon.kill()
        daemon.wait()
    assert not list((setup.folder / "state" / "boots").iterdir())
    if folder := os.environ.get("MOORAGE_TIMES"):
        with Path(folder).open("a") as out:
            out.write(
                f"{case.machine} {state}: {len(before.ids)} containers, {TIMES[f'{case.machine} {state}']:.2f} s\n"
            )


def test_every_state_is_here_or_elsewhere() -> None:
    here = {f"{case.machine} {state}" for case, state in each() if case.machine != "call"}
    every = {f"{kind.name} {state.name}" for kind in KINDS for state in kind.states if state is not kind.initial}
    assert every - here == set(ELSEWHERE)
