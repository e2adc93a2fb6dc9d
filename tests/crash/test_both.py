"""The engine and the daemon killed together, and both started again: nothing of ours is left.

The daemon is started anew as its systemd unit does it: at once, and a second after each try that found no engine.
"""

import os
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.crash.left import Before
from tests.crash.test_engine import IMAGE, note, own_engine
from tests.crash.test_real import EXEC, SERVED, SESSION, Case, Client, configure, said, start, until
from tests.e2e.own_engine import OwnDockerd
from tests.e2e.runs import Setup

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh, pytest.mark.slow]
GONE_S_MAX = 5.0  # from when both are there; how long a start takes is the machine's
RESTART_S = 1.0  # RestartSec of config/systemd/moorage.service
MANY = 20

# No state: with so many sessions that run, and spares beside them.
CASES = (
    *(Case(machine="", states=name, how=how, pool=pool) for name, how, pool in (
        ("exec", EXEC, 0), ("attach", SESSION, 0), ("agent", SERVED, 0), ("spares", EXEC, 3),
    )),
    Case(machine="container", states="CREATING STARTING"),
    Case(machine="container", states="ATTACHING", how=SESSION),
    Case(machine="container", states="LINKING", how=SERVED),
    Case(machine="container", states="REMOVING", then="leave"),
    Case(machine="container", states="STOPPING", then="TERM TERM"),
    Case(machine="session", states="CREATING RUNNING"),
    Case(machine="spare", states="FILLING", pool=3),
)  # fmt: skip


def each() -> list[tuple[Case, str]]:
    return [(case, state) for case in CASES for state in case.states.split()]


@pytest.mark.parametrize(("case", "state"), each(), ids=lambda it: it if isinstance(it, str) else it.machine or "with")
async def test_both_killed(setup: Setup, case: Case, state: str) -> None:
    async with own_engine(setup) as dockerd:
        before = Before(setup.folder / "state", dockerd.host)
        await trio.to_thread.run_sync(live_and_die, setup.folder, case, state, before, dockerd)
        await dockerd.kill()
        from_answer, from_ready = await both_again(setup.folder, before, dockerd)
        what = f"both killed, {case.machine} {state}, {len(before.ids)} containers"
        note(f"{what}, from the engine's first answer", from_answer)
        note(f"{what}, from MOORAGE_READY", from_ready)
        assert before.ids or state in ("CREATING", "FILLING")
        assert from_ready < GONE_S_MAX


def live_and_die(folder: Path, case: Case, state: str, before: Before, dockerd: OwnDockerd) -> None:
    """The daemon's first life. The engine dies right behind it, before it could see the end of a connection."""
    configure(folder, IMAGE, case.how, case.pool, dockerd.host)
    doomed = ["-m", "tests.crash.doomed", case.machine, state, case.lost] if case.machine else ["-m", "moorage"]
    daemon = start(folder, doomed, "first.log")
    clients: list[Client] = []
    try:
        until("it is not ready", lambda: daemon.poll() is not None or said(folder, "first.log", "MOORAGE_READY"))
        for _ in range(0 if daemon.poll() is not None else 1 if case.machine else MANY):
            port = int(said(folder, "first.log", "MOORAGE_READY")[0]["listen"][0].rpartition(":")[2])
            clients.append(Client(folder / f"said{len(clients)}", port, False, folder / "user_key"))
            until("no program", partial(arrived, clients[-1], daemon, case))
        before.note()
        if case.machine:
            if clients:
                clients[0].act(case.then, daemon, before)
            until(lambda: f"{state} was not reached", partial(ended, daemon, before))
        else:
            assert len(before.ids) >= MANY
            daemon.kill()
        os.kill(dockerd.pid, 9)
    finally:
        daemon.kill()
        daemon.wait()
        for client in clients:
            client.close()


def ended(daemon: subprocess.Popen[bytes], before: Before) -> bool:
    """What there is by then is noted all the while: it may come just before the end."""
    is_over = daemon.poll() is not None
    before.note()
    return is_over


def arrived(client: Client, daemon: subprocess.Popen[bytes], case: Case) -> bool:
    return client.is_ready() or daemon.poll() is not None or bool(case.machine and not case.then)


async def both_again(folder: Path, before: Before, dockerd: OwnDockerd) -> tuple[float, float]:
    """Seconds from the engine's first answer, and from the daemon's being ready, until nothing is left."""
    configure(folder, IMAGE, EXEC, 0, dockerd.host)
    daemons: list[subprocess.Popen[bytes]] = []

    def restart() -> None:
        if not daemons or daemons[-1].poll() is not None:
            daemons.append(start(folder, ["-m", "moorage"], f"again{len(daemons)}.log"))

    async def keep_running() -> None:
        while True:
            restart()
            await trio.to_thread.run_sync(daemons[-1].wait, abandon_on_cancel=True)
            await trio.sleep(RESTART_S)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_running)
            await dockerd.start()
            answered = time.monotonic()
            left: list[str] | None = None
            with trio.move_on_after(60):
                while not said(folder, f"again{len(daemons) - 1}.log", "MOORAGE_READY"):  # noqa: ASYNC110
                    await trio.sleep(0.02)
                ready = time.monotonic()
                while left := await trio.to_thread.run_sync(before.left):  # noqa: ASYNC110 (the engine is looked at)
                    await trio.sleep(0.05)
            log = (folder / f"again{len(daemons) - 1}.log").read_text()
            assert left is not None, f"after {len(daemons)} starts it was not ready: {log}"
            assert not left, f"{left} is left: {log}"
            gone = time.monotonic()
            nursery.cancel_scope.cancel()
        daemons[-1].terminate()
        assert await trio.to_thread.run_sync(daemons[-1].wait) == 0
    finally:
        daemons[-1].kill()
        daemons[-1].wait()
    return gone - answered, gone - ready
