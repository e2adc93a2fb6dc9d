"""`python -m tests.endurance --minutes 30`: mixed load on both modes, an engine that is killed, restarted and frozen.

Every few minutes all of it rests, and what each daemon takes at rest must not grow. Prints the table of
docs/reliability.md. Exit codes: 0 flat and nothing wrong, 1 not.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio
from msgspec import Struct

from actors.bridge import open_loop
from actors.engine.client import KEEP_ALIVE_SECONDS
from tests.e2e import outside
from tests.e2e.harness import Keys
from tests.e2e.own_engine import OwnDockerd, own_dockerd
from tests.endurance.place import POOL, Daemon, daemon, freeze, guest_image
from tests.endurance.work import SLACK_S, Load, worker

BREAKS = trio.Lock()
WORKERS = 5  # for each daemon
SAMPLE_S = 5.0
REST_S_MAX = 300.0
RSS_GROWTH_MAX = 1.10  # from the second rest to the last
HANGS_S = 60.0
TAKES = ("rss_bytes", "files", "tasks")


class Sample(Struct, frozen=True):
    """What a daemon took at one moment."""

    at_s: float
    rests: bool
    actors: int
    took: dict[str, int]


class Watched:
    """A daemon with its load and its samples."""

    def __init__(self, daemon: Daemon, load: Load) -> None:
        self.daemon, self.load = daemon, load
        self.samples: list[Sample] = []

    async def sample(self, rests: bool = False) -> Sample:
        status = await self.daemon.status()
        taken = Sample(trio.current_time(), rests, len(status["actors"]), status["process"])
        self.samples.append(taken)
        return taken

    async def rest(self) -> str:
        """Wait until nobody is there; empty, or what is left when it took too long."""
        spares = POOL if self.daemon.mode == "connection" else 0
        left: Any = "?"
        with trio.move_on_after(REST_S_MAX):
            while True:
                status = await self.daemon.status()
                names = sorted(actor["actor"] for actor in status["actors"] if actor["state"] != "READY")
                containers = await trio.to_thread.run_sync(self.daemon.containers)
                left = (status["connections"], names, sorted(containers))
                if not status["connections"] and len(status["actors"]) == 2 * spares and len(containers) == spares:
                    await trio.sleep(KEEP_ALIVE_SECONDS + 2)  # until idle connections to the engine are closed too
                    await self.sample(rests=True)
                    return ""
                await trio.sleep(0.5)
        return f"{self.daemon.mode} never came to rest: {left}"

    def at_rest(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.rests]


async def sample_all(watched: Sequence[Watched]) -> None:
    while True:
        await trio.sleep(SAMPLE_S)
        for one in watched:
            await one.sample()


async def break_engine(dockerd: OwnDockerd, watched: Sequence[Watched], kind: str) -> None:
    """Kill and start again, or freeze for a while."""
    async with BREAKS:
        await _break_engine(dockerd, watched, kind)


async def cure_engine(dockerd: OwnDockerd, watched: Sequence[Watched]) -> None:
    """A dockerd 20.10 may lock itself up in its network code for ever. Then it is killed, as an operator would."""
    while True:
        await trio.sleep(HANGS_S / 4)
        if await _hangs(dockerd, watched):
            await break_engine(dockerd, watched, "hung")


async def _hangs(dockerd: OwnDockerd, watched: Sequence[Watched]) -> bool:
    """Does it list a container, and not answer for a minute what that is?"""
    for one in watched:
        with suppress(OSError, HTTPException):  # killed just now
            for name in await trio.to_thread.run_sync(one.daemon.containers):
                try:
                    ask = partial(outside.call, "GET", f"/containers/{name}/json", host=dockerd.host, seconds=HANGS_S)
                    await trio.to_thread.run_sync(ask)
                except TimeoutError:
                    return True
    return False


async def _break_engine(dockerd: OwnDockerd, watched: Sequence[Watched], kind: str) -> None:
    span = [trio.current_time(), float("inf")]
    for one in watched:
        one.load.faults.append(span)
    if kind == "frozen":
        await freeze(dockerd, 4)
    else:
        await dockerd.kill()
        await trio.sleep(1)
        await dockerd.start()
    span[1] = trio.current_time() + SLACK_S
    watched[0].load.counts[f"engine {kind}"] += 1


async def rest_all(watched: Sequence[Watched]) -> list[str]:
    for one in watched:
        one.load.gate = trio.Event()
    while any(one.load.running for one in watched):  # noqa: ASYNC110 (it is counted by many)
        await trio.sleep(0.2)
    return [why for one in watched if (why := await one.rest())]


async def run(minutes: float, cycle_s: float, folder: Path) -> bool:
    Keys(folder)
    async with open_loop(lambda context: None), own_dockerd() as dockerd:
        await guest_image(dockerd.host)
        async with daemon(folder, "connection", dockerd.host) as one, daemon(folder, "session", dockerd.host) as two:
            watched = [Watched(it, Load(folder, it.port, seed)) for seed, it in enumerate((one, two))]
            async with trio.open_nursery() as nursery:
                for it in watched:
                    for _ in range(WORKERS):
                        nursery.start_soon(worker, it.load)
                nursery.start_soon(sample_all, watched)
                nursery.start_soon(cure_engine, dockerd, watched)
                stuck = await _cycles(minutes * 60, cycle_s, dockerd, watched)
                nursery.cancel_scope.cancel()
            return report(watched, stuck)


async def _cycles(seconds: float, cycle_s: float, dockerd: OwnDockerd, watched: Sequence[Watched]) -> list[str]:
    """Load, a broken engine, more load, rest. Returns what did not come to rest."""
    until = trio.current_time() + seconds
    while trio.current_time() < until:
        for it in watched:
            it.load.gate.set()
        for kind in ("killed", "frozen"):
            await trio.sleep(cycle_s / 3)
            await break_engine(dockerd, watched, kind)
        await trio.sleep(cycle_s / 3)
        if stuck := await rest_all(watched):
            return stuck
        for it in watched:
            taken = it.at_rest()[-1].took
            jobs = sum(count for name, count in it.load.counts.items() if name.startswith("jobs"))
            sys.stderr.write(f"{it.daemon.mode}: {jobs} jobs, {len(it.load.wrong)} wrong, at rest {taken}\n")
            sys.stderr.writelines(f"  {line}\n" for line in it.load.wrong[-5:])
    return []


def report(watched: Sequence[Watched], stuck: Sequence[str]) -> bool:
    """The table; and was all as it should be?"""
    wrong = [*stuck, *(line for it in watched for line in (*it.load.wrong, *it.daemon.bad()))]
    names = sorted({name for it in watched for name in it.load.counts})
    print("| | mode connection | mode session |\n|---|--:|--:|")
    for name in names:
        print(f"| {name} | " + " | ".join(f"{it.load.counts[name]:,}" for it in watched) + " |")
    for what in TAKES:
        print(f"| {what} at each rest | " + " | ".join(_series(it, what) for it in watched) + " |")
        print(f"| {what} under load, median and most | " + " | ".join(_range(it, what) for it in watched) + " |")
        for it in watched:
            values = [sample.took[what] for sample in it.at_rest()]
            early = values[min(1, len(values) - 1)] if values else 0
            if values and values[-1] > (early * RSS_GROWTH_MAX if what == "rss_bytes" else early + 2):
                wrong.append(f"mode {it.daemon.mode}: {what} at rest has grown from {early} to {values[-1]}")
    print(f"| actors at once, most | {' | '.join(str(max(s.actors for s in it.samples)) for it in watched)} |")
    print(f"| ends that were not as they should be | {' | '.join(str(len(it.load.wrong)) for it in watched)} |")
    print("\n".join(["", *wrong]) if wrong else "")
    return not wrong


def _series(it: Watched, what: str) -> str:
    return ", ".join(_shown(what, sample.took[what]) for sample in it.at_rest())


def _range(it: Watched, what: str) -> str:
    values = [sample.took[what] for sample in it.samples if not sample.rests] or [0]
    return f"{_shown(what, statistics.median(values))}, {_shown(what, max(values))}"


def _shown(what: str, value: float) -> str:
    return f"{value / 2**20:.1f}" if what == "rss_bytes" else f"{value:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.endurance", description="Mixed load for as long as you like.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--cycle", type=float, default=240, metavar="SECONDS", help="of load between two rests")
    words = parser.parse_args()
    with TemporaryDirectory(prefix="moorage-endurance-") as folder:
        return 0 if trio.run(run, words.minutes, words.cycle, Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
