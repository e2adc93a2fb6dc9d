"""Many logins: one after the other, many at a time, all at once; and a person who types while others are busy."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack

from actors.pool import SPARE_NAME
from benchmarks.asyncssh_process import asyncssh_client
from benchmarks.bench import Bench
from benchmarks.engine import IDLE, Engine, EngineSaidNo
from benchmarks.latency import CONNECTION, SSHD, WARM, Once
from benchmarks.results import Comparison, Group, Promise, column
from benchmarks.servers import Server
from benchmarks.stats import in_turns, percentile

WIDTH = 50
BARE = "engine: create, start, remove"
READINGS = 4
CHATTER = "while :; do echo a line; sleep 1; done"
PAUSE_S = 0.02
FILL_SECONDS_MAX = 120.0


def sustained(bench: Bench) -> list[Group]:
    """Logins a second from cold, beside the engine's own loop of the same width. Every exit status is checked."""
    groups = []
    with bench.moorage("connection") as server:
        for width, title in ((1, "one after the other"), (WIDTH, f"{WIDTH} at a time")):
            contenders: dict[str, Once] = {
                CONNECTION: _logins(bench, server, bench.scale.block, width),
                BARE: _bare_loop(bench, bench.scale.block, width),
            }
            found = in_turns(contenders, bench.scale.blocks, bench.dice, bench.engine.settle)
            groups.append(
                Group(
                    key=f"sustained-{width}",
                    title=f"Logins {title}, {bench.scale.blocks} times {bench.scale.block}, client asyncssh",
                    unit="logins/s",
                    values=column(found, 0, "logins/s"),
                    comparisons=(Comparison(CONNECTION, BARE, Promise("at least 0.9 x", 0.9, at_most=False)),),
                    note="Each ends with an exit status of its own, and all were right.",
                )
            )
    return groups


def _logins(bench: Bench, server: Server, count: int, width: int) -> Once:
    return lambda: [count / bench.asyncssh.ask("logins", port=server.port, count=count, width=width)[0]]


def _bare_loop(bench: Bench, count: int, width: int) -> Once:
    """So many containers made, started and removed by `width` callers."""

    def once() -> list[float]:
        todo, began = iter(range(count)), time.perf_counter()
        with ThreadPoolExecutor(width) as pool:
            for call in [pool.submit(_bare, bench, todo) for _ in range(width)]:
                call.result()
        return [count / (time.perf_counter() - began)]

    return once


def _bare(bench: Bench, todo: Iterator[int]) -> None:
    engine = Engine(bench.engine.socket_path, bench.engine.label)
    for _ in todo:
        container = engine.create(bench.image, IDLE)
        engine.start(container)
        engine.remove(container)


def burst(bench: Bench) -> list[Group]:
    """As many logins at once as there are containers ready."""
    with bench.warm(WIDTH) as warm, bench.sshd() as sshd:
        ready = Engine(bench.engine.socket_path, f"{bench.engine.label}-warm")
        contenders = {WARM: _logins(bench, warm, WIDTH, WIDTH), SSHD: _logins(bench, sshd, WIDTH, WIDTH)}
        found = in_turns(contenders, bench.scale.bursts, bench.dice, lambda: _until_full(ready))
    return [
        Group(
            key="burst",
            title=f"{WIDTH} logins at once, client asyncssh",
            unit="logins/s",
            values=column(found, 0, "logins/s"),
            comparisons=(Comparison(WARM, SSHD, Promise("no fewer", 1.0, at_most=False)),),
        )
    ]


def _until_full(engine: Engine) -> None:
    """Return when the pool is filled, and what was used is gone.

    Those that a burst has just used run a moment longer and are as many; but a claim has given them other names.
    """
    until = time.monotonic() + FILL_SECONDS_MAX
    time.sleep(0.5)
    while len(engine.containers("running", name=SPARE_NAME)) != WIDTH or len(engine.containers()) != WIDTH:
        if time.monotonic() > until:
            raise EngineSaidNo(f"the pool was not filled after {FILL_SECONDS_MAX:.0f} s")
        time.sleep(0.2)
    time.sleep(1.0)  # a container runs a little before its agent has said hello


def typing(bench: Bench) -> list[Group]:
    """From a keystroke to its echo, while others' sessions each print a line a second."""
    servers: dict[str, Callable[[], AbstractContextManager[Server]]] = {
        CONNECTION: lambda: bench.moorage("connection"),
        SSHD: bench.sshd,
    }
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in servers}
    for _ in range(READINGS):
        for name, start in bench.dice.sample(list(servers.items()), len(servers)):
            with ExitStack() as stack:
                typist = stack.enter_context(asyncssh_client(bench.folder))
                server = stack.enter_context(start())
                bench.asyncssh.ask("hold", port=server.port, count=bench.scale.sessions, command=CHATTER)
                count = bench.scale.keystrokes
                seconds = typist.ask("keystrokes", port=server.port, count=count, pause=PAUSE_S)
                found[name].append((percentile(seconds, 50), percentile(seconds, 99)))
                bench.asyncssh.ask("close")
            bench.engine.settle()
    promise = Promise("at most 1.5 x", 1.5)
    return [
        Group(
            key=f"typing-p{which}",
            title=f"Keystroke to echo, p{which}, beside {bench.scale.sessions} sessions that print a line a second",
            unit="ms",
            values=column(found, place, "ms"),
            comparisons=(Comparison(CONNECTION, SSHD, promise),),
            note=f"Each value is of {bench.scale.keystrokes} keystrokes on a terminal.",
        )
        for place, which in enumerate((50, 99))
    ]
