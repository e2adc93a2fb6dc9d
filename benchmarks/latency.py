"""Logins, further commands, and how long a container outlives its client."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.bench import Bench
from benchmarks.results import Comparison, Group, Promise, column
from benchmarks.servers import Server
from benchmarks.stats import in_turns

Once = Callable[[], Sequence[float]]
Login = Callable[[Bench, Server], Once]

ECHO = "echo x"
PAUSE_S = 0.05
FOREVER = "echo x; exec sleep 100000"
CONNECTION, SESSION = "Moorage, mode connection", "Moorage, mode session"
WARM = "Moorage, a container kept ready"
SSHD, SSHD_RUN, SSHD_EXEC = "sshd", "sshd + docker run", "sshd + docker exec"
BARE_EXEC, BARE_PROGRAM = "engine: create, start, exec", "engine: create, attach, start"
BARE_REMOVE = "engine: forced removal"
COLD = (
    Comparison(CONNECTION, BARE_EXEC),
    Comparison(SESSION, BARE_PROGRAM),
    Comparison(CONNECTION, SSHD_RUN),
    Comparison(SESSION, SSHD_RUN),
    Comparison(CONNECTION, SSHD),
    Comparison(SESSION, SSHD),
)


@contextmanager
def all_servers(bench: Bench) -> Iterator[dict[str, Server]]:
    """Each of the six that people log in to."""
    with ExitStack() as stack:
        started = {
            CONNECTION: bench.moorage("connection"),
            SESSION: bench.moorage("session"),
            WARM: bench.warm(),
            SSHD: bench.sshd(),
            SSHD_RUN: bench.sshd_run(),
            SSHD_EXEC: bench.sshd_exec(),
        }
        yield {name: stack.enter_context(server) for name, server in started.items()}


def cold_login(bench: Bench) -> list[Group]:
    """From nothing to a command's first byte, with either client. Promised are the engine's own times so much, and of
    a container kept ready so much of sshd."""
    with all_servers(bench) as targets:
        ssh = _cold(bench, targets, "ssh", _by_openssh, 1.25, Promise("no slower", 1.0))
        asyncssh = _cold(bench, targets, "asyncssh", _by_asyncssh, 1.15, Promise("at most 0.5 x", 0.5))
        return [ssh, asyncssh]


def _cold(bench: Bench, targets: dict[str, Server], client: str, login: Login, bound: float, warm: Promise) -> Group:
    bare: dict[str, Once] = {
        BARE_EXEC: lambda: [bench.engine.land_exec(bench.image, ECHO)],
        BARE_PROGRAM: lambda: [bench.engine.land_program(bench.image, ECHO)],
    }
    logins = {name: login(bench, server) for name, server in targets.items()}
    found = in_turns({**logins, **bare}, bench.scale.rounds, bench.dice, bench.engine.settle)
    promise = Promise(f"at most {bound} x", bound)
    promised = tuple(Comparison(one.ours, one.theirs, promise) for one in COLD[:2])
    return Group(
        key=f"cold-{client}",
        title=f"Cold login with {client}, to the first byte",
        unit="ms",
        values=column(found, 0, "ms"),
        comparisons=(*promised, *COLD[2:], Comparison(WARM, SSHD, warm)),
        note="The start of the program `ssh` itself is part of it." if client == "ssh" else "From TCP connected.",
    )


def _by_openssh(bench: Bench, server: Server) -> Once:
    return lambda: [bench.ssh.run(server, ECHO).first]


def _by_asyncssh(bench: Bench, server: Server) -> Once:
    return lambda: bench.asyncssh.ask("login", port=server.port, command=ECHO)


def second_exec(bench: Bench) -> list[Group]:
    """A further command in a connection that is open."""
    with all_servers(bench) as targets, ExitStack() as stack:
        masters = {name: stack.enter_context(bench.ssh.master(server)) for name, server in targets.items()}
        for name, server in targets.items():
            bench.asyncssh.ask("open", name=name, port=server.port)
        through = {name: _through_master(bench, targets[name], words) for name, words in masters.items()}
        apart = {name: _on_open(bench, name) for name in targets}
        groups = [*_second(bench, "ssh (ControlMaster)", through), *_second(bench, "asyncssh", apart)]
        bench.asyncssh.ask("close")
        return groups


def _second(bench: Bench, client: str, contenders: dict[str, Once]) -> list[Group]:
    found = in_turns(contenders, bench.scale.rounds, bench.dice, lambda: time.sleep(PAUSE_S))
    promise = Promise("no slower", 1.0)
    return [
        Group(
            key=f"second-{client.split()[0]}-{what.split()[0]}",
            title=f"Further command with {client}, to the {what}",
            unit="ms",
            values=column(found, place, "ms"),
            comparisons=(Comparison(CONNECTION, SSHD, promise), Comparison(CONNECTION, SSHD_EXEC)),
        )
        for place, what in enumerate(("first byte", "exit status"))
    ]


def _through_master(bench: Bench, server: Server, words: list[str]) -> Once:
    def once() -> Sequence[float]:
        timing = bench.ssh.run(server, ECHO, *words)
        return timing.first, timing.end

    return once


def _on_open(bench: Bench, name: str) -> Once:
    return lambda: bench.asyncssh.ask("exec", name=name, command=ECHO)


def gone_after_kill(bench: Bench) -> list[Group]:
    """From SIGKILL for the client to the engine's word that the container is gone."""
    with bench.moorage("connection") as connection, bench.moorage("session") as session:
        contenders: dict[str, Once] = {
            CONNECTION: _kill(bench, connection),
            SESSION: _kill(bench, session),
            BARE_REMOVE: lambda: [_bare_removal(bench)],
        }
        found = in_turns(contenders, bench.scale.rounds, bench.dice, bench.engine.settle)
    bound = Promise("at most 300 ms", 300.0)
    return [
        Group(
            key="gone",
            title="Container gone after its client was killed",
            unit="ms",
            values=column(found, 0, "ms"),
            comparisons=(Comparison(CONNECTION, BARE_REMOVE), Comparison(SESSION, BARE_REMOVE)),
            bounds={CONNECTION: bound, SESSION: bound},
        )
    ]


def _kill(bench: Bench, server: Server) -> Once:
    def once() -> Sequence[float]:
        with bench.engine.removals() as removals, bench.ssh.started(server, FOREVER) as process:
            began = time.perf_counter()
            process.kill()
            return [removals.wait() - began]

    return once


def _bare_removal(bench: Bench) -> float:
    container = bench.engine.create(bench.image, ["/bin/sh", "-c", FOREVER])
    bench.engine.start(container)
    with bench.engine.removals() as removals:
        began = time.perf_counter()
        bench.engine.remove(container)
        return removals.wait() - began
