"""Throughput, and what a login costs the server: memory while it is idle, CPU while it comes and goes."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.latency import CONNECTION, FOREVER, SESSION, SSHD, SSHD_EXEC, Once, all_servers
from benchmarks.results import Comparison, Group, Promise, column
from benchmarks.servers import Server
from benchmarks.stats import in_turns

BLOCK_BYTES = 64 * 1024
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
FIRST = 10
PROC = Path("/proc")


def throughput(bench: Bench) -> list[Group]:
    """Zeros through one session, each way, from the first byte on."""
    size = bench.scale.transfer_bytes
    zeros = bench.folder / "zeros"
    with zeros.open("wb") as file:
        file.truncate(size)
    with ExitStack() as stack:
        started = {
            CONNECTION: bench.moorage("connection"),
            SESSION: bench.moorage("session"),
            SSHD: bench.sshd(),
            SSHD_EXEC: bench.sshd_exec(),
        }
        servers = {name: stack.enter_context(server) for name, server in started.items()}
        return [
            _throughput(bench, "down", {name: _download(bench, server, size) for name, server in servers.items()}),
            _throughput(bench, "up", {name: _upload(bench, server, zeros, size) for name, server in servers.items()}),
        ]


def _throughput(bench: Bench, direction: str, contenders: dict[str, Once]) -> Group:
    found = in_turns(contenders, bench.scale.rounds, bench.dice, bench.engine.settle)
    promise = Promise("at least 0.8 x", 0.8, at_most=False)
    return Group(
        key=f"throughput-{direction}",
        title=f"Throughput {direction}, {bench.scale.transfer_bytes // 1024**2} MiB, client ssh, aes128-gcm",
        unit="MiB/s",
        values=column(found, 0, "MiB/s"),
        comparisons=(
            Comparison(CONNECTION, SSHD, promise),
            Comparison(SESSION, SSHD, promise),
            Comparison(CONNECTION, SSHD_EXEC),
        ),
    )


def _download(bench: Bench, server: Server, size: int) -> Once:
    command = f"dd if=/dev/zero bs={BLOCK_BYTES} count={size // BLOCK_BYTES} 2>/dev/null"

    def once() -> list[float]:
        timing = bench.ssh.run(server, command)
        assert timing.output_bytes == size, f"{server.name}: {timing.output_bytes} bytes of {size} arrived"
        return [size / (timing.eof - timing.first)]

    return once


def _upload(bench: Bench, server: Server, zeros: Path, size: int) -> Once:
    def once() -> list[float]:
        timing = bench.ssh.run(server, "echo x; cat >/dev/null", stdin=zeros)
        return [size / (timing.end - timing.first)]

    return once


def memory(bench: Bench) -> list[Group]:
    """What one idle connection adds to the daemon; for sshd, what its processes take."""
    cases: dict[str, tuple[Callable[[], AbstractContextManager[Server]], str]] = {
        "Moorage, no session yet": (lambda: bench.moorage("session"), ""),
        "Moorage, one session (mode connection)": (lambda: bench.moorage("connection"), FOREVER),
        "Moorage, one session (mode session)": (lambda: bench.moorage("session"), FOREVER),
        "sshd, no session yet": (bench.sshd, ""),
        "sshd, one session": (bench.sshd, FOREVER),
    }
    found: dict[str, list[float]] = {}
    for _ in range(bench.scale.memory_rounds):
        for name, (server, command) in bench.dice.sample(list(cases.items()), len(cases)):
            for kind, grown in _growth(bench, server(), command).items():
                found.setdefault(f"{name}: {kind}", []).append(grown / 1024)
    bound = Promise("at most 64 KiB", 64.0)
    names = [f"{name}: {kind}" for name in cases for kind in ("RSS", "PSS")]
    return [
        Group(
            key="memory",
            title=f"Memory per idle connection, {bench.scale.held} held",
            unit="KiB",
            values={name: found[name] for name in names},
            bounds={name: bound for name in names if name.startswith("Moorage, one session")},
            note="What the server's own processes grow by. Not in it: the containers, and what the engine keeps for "
            "each (a shim process of some MiB), which is the same for everybody.",
        )
    ]


def _growth(bench: Bench, start: AbstractContextManager[Server], command: str) -> dict[str, float]:
    """Bytes a connection, beyond the first ten: they stay, so that what is made once is there and nothing was freed."""
    held = bench.scale.held
    with start as server:
        bench.asyncssh.ask("hold", port=server.port, count=FIRST, command=command)
        before = memory_bytes(server.pid)
        bench.asyncssh.ask("hold", port=server.port, count=held, command=command)
        after = memory_bytes(server.pid)
        bench.asyncssh.ask("close")
        bench.engine.settle()
    return {kind: (after[kind] - before[kind]) / held for kind in after}


def memory_bytes(root: int) -> dict[str, int]:
    """RSS and PSS of a server: its first process and all that descend from it and run the same program."""
    program = (PROC / str(root) / "exe").readlink()
    total = {"RSS": 0, "PSS": 0}
    for pid in _family(root):
        try:
            if (PROC / str(pid) / "exe").readlink() != program:
                continue
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended meanwhile
            continue
        for line in lines:
            name, _, rest = line.partition(":")
            if name.upper() in ("RSS", "PSS"):
                total[name.upper()] += int(rest.split()[0]) * 1024
    return total


def _family(root: int) -> Iterator[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat(int(entry.name))[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    todo = [root]
    while todo:
        pid = todo.pop()
        yield pid
        todo += children.get(pid, [])


def cpu(bench: Bench) -> list[Group]:
    """CPU time of the server, its children included, for a login, one command and the logout."""
    logins = bench.scale.logins
    with all_servers(bench) as servers:
        contenders = {name: _cpu_of_logins(bench, server, logins) for name, server in servers.items()}
        found = in_turns(contenders, max(bench.scale.rounds // 3, 2), bench.dice, bench.engine.settle)
    return [
        Group(
            key="cpu",
            title=f"CPU of the server a login (one reading is {logins} logins)",
            unit="ms",
            values=column(found, 0, "ms"),
            comparisons=(Comparison(CONNECTION, SSHD), Comparison(SESSION, SSHD), Comparison(CONNECTION, SSHD_EXEC)),
            note="With its child processes, so for sshd with the shell and the docker command; never with the engine.",
        )
    ]


def _cpu_of_logins(bench: Bench, server: Server, logins: int) -> Once:
    def once() -> list[float]:
        before = cpu_seconds(server.pid)
        for _ in range(logins):
            bench.asyncssh.ask("login", port=server.port, command="echo x")
        bench.engine.settle()  # the logout and the removal belong to it
        return [(cpu_seconds(server.pid) - before) / logins]

    return once


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its children that have ended, to the kernel's tick."""
    return sum(map(int, _stat(pid)[11:15])) * TICK_S


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; the second is a name that may hold anything."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
