"""Throughput, and what a login costs the server: memory while it is idle, CPU while it comes and goes."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.latency import CONNECTION, FOREVER, SESSION, SSHD, SSHD_EXEC, WARM, Once, all_servers
from benchmarks.results import Comparison, Group, Promise, column
from benchmarks.servers import Server
from benchmarks.stats import in_turns

BLOCK_BYTES = 64 * 1024
CPUCLOCK_SCHED = 2  # in what clock_getcpuclockid(3) makes of a process
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
FIRST = 10
SSHD_HELD_MAX = 100  # its processes take 10 MiB each
SETTLED_S = 2.0  # the containers of the last logins are made by then
REAPED_S = 0.2  # until sshd has waited for what it started
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
        down = {name: _with_cpu(server, size, _download(bench, server, size)) for name, server in servers.items()}
        up = {name: _with_cpu(server, size, _upload(bench, server, zeros, size)) for name, server in servers.items()}
        return [*_throughput(bench, "down", down), *_throughput(bench, "up", up)]


def _throughput(bench: Bench, direction: str, contenders: dict[str, Once]) -> list[Group]:
    found = in_turns(contenders, bench.scale.transfers, bench.dice, bench.engine.settle)
    promise = Promise("at least 0.8 x", 0.8, at_most=False)
    size = bench.scale.transfer_bytes // 1024**2
    return [
        Group(
            key=f"throughput-{direction}",
            title=f"Throughput {direction}, {size} MiB, client ssh, aes128-gcm",
            unit="MiB/s",
            values=column(found, 0, "MiB/s"),
            comparisons=(
                Comparison(CONNECTION, SSHD, promise),
                Comparison(SESSION, SSHD, promise),
                Comparison(CONNECTION, SSHD_EXEC),
            ),
        ),
        Group(
            key=f"throughput-cpu-{direction}",
            title=f"CPU of the server for a GiB {direction}",
            unit="s",
            values=column(found, 1, "s"),
            comparisons=(Comparison(CONNECTION, SSHD), Comparison(SESSION, SSHD)),
            note="With its child processes, so for sshd with the command itself; never with what runs in a container.",
        ),
    ]


def _with_cpu(server: Server, size: int, transfer: Once) -> Once:
    """The server's CPU seconds a GiB behind the rate."""

    def once() -> list[float]:
        before = cpu_seconds(server.pid)
        (rate,) = transfer()
        time.sleep(REAPED_S)
        return [rate, (cpu_seconds(server.pid) - before) * 1024**3 / size]

    return once


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
    few = min(bench.scale.held, SSHD_HELD_MAX)
    cases: dict[str, tuple[Callable[[], AbstractContextManager[Server]], int, str]] = {
        "Moorage, no session, engine in memory": (bench.fake, bench.scale.idle, ""),
        "Moorage, one session": (lambda: bench.moorage("connection"), bench.scale.held, FOREVER),
        "sshd, no session": (bench.sshd, few, ""),
        "sshd, one session": (bench.sshd, few, FOREVER),
    }
    found: dict[str, list[float]] = {}
    for name, (server, count, command) in cases.items():
        for kind, grown in _growth(bench, server(), count, command).items():
            found[f"{name}, {count} held: {kind}"] = [grown / 1024]
    bounds = [Promise("at most 48 KiB", 48.0), Promise("at most 64 KiB", 64.0)]
    promised = dict(zip([name for name in found if name.endswith(": RSS")], bounds, strict=False))
    return [
        Group(
            key="memory",
            title="Memory per idle connection",
            unit="KiB",
            values=found,
            bounds=promised,
            note="What the server's own processes grow by. Not in it: the containers, and what the engine keeps for "
            "each (a shim process of some MiB), which is the same for everybody.",
        )
    ]


def _growth(bench: Bench, start: AbstractContextManager[Server], held: int, command: str) -> dict[str, float]:
    """Bytes a connection, beyond the first ten: they stay, so that what is made once is there and nothing was freed."""
    with start as server:
        bench.asyncssh.ask("hold", port=server.port, count=FIRST, command=command)
        before = memory_bytes(server.pid)
        bench.asyncssh.ask("hold", port=server.port, count=held, command=command)
        time.sleep(SETTLED_S)
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
        time.sleep(bench.scale.watch_s)
        contenders = {name: _cpu_of_logins(bench, server, logins) for name, server in servers.items()}
        found = in_turns(contenders, max(bench.scale.rounds // 3, 2), bench.dice, bench.engine.settle)
    return [
        Group(
            key="cpu",
            title=f"CPU of the server a login (one reading is {logins} logins)",
            unit="ms",
            values=column(found, 0, "ms"),
            comparisons=(Comparison(CONNECTION, SSHD), Comparison(SESSION, SSHD), Comparison(CONNECTION, SSHD_EXEC)),
            bounds=dict.fromkeys((CONNECTION, WARM), Promise("at most 10 ms", 10.0)),
            note="With its child processes, so for sshd with the shell and the docker command; never with the engine. "
            "Two minutes after the start, when Moorage looks no more for what a dead daemon may have left.",
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
    """User and system time of a process, and to the kernel's tick of its children that have ended."""
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED) + sum(map(int, _stat(pid)[13:15])) * TICK_S


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; the second is a name that may hold anything."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
