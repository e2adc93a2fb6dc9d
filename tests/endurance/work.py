"""What is done all the time: each job is one client, and knows how it has to end."""

import hashlib
import itertools
import os
import random
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import asyncssh
import trio

from actors.bridge import aio
from tests.e2e.harness import USER, Done
from tests.e2e.terminal import open_terminal
from tests.endurance.place import ALIVE_S

JOB_S_MAX = 240.0
SLACK_S = 20.0  # after the engine is back: what it lost is still being told
BLOCK = random.Random(7).randbytes(1 << 20)
LINES = (1000, 100_000, 1_000_000)
TOLD = frozenset({125, 137, 143, 255})


class Wrong(Exception):
    """A client was not told what it should have been."""


class Load:
    """What all jobs share. `faults` are the times at which the engine was not well."""

    def __init__(self, folder: Path, port: int, seed: int) -> None:
        self.folder, self.port = folder, port
        self.dice = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.faults: list[list[float]] = []
        self.running = 0
        self.gate = trio.Event()
        self.names = itertools.count()

    def was_faulty(self, since: float) -> bool:
        return any(until > since for _, until in self.faults)

    def line(self, command: str | None, *options: str) -> list[str]:
        """OpenSSH's client, with nothing of the caller's own."""
        words = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes",
                 "IdentityAgent=none", "IdentitiesOnly=yes")  # fmt: skip
        flags = [flag for word in words for flag in ("-o", word)]
        own = ["-F", "none", "-i", str(self.folder / "user_key"), "-p", str(self.port)]
        return ["ssh", *own, *flags, *options, f"{USER}@127.0.0.1", *([] if command is None else [command])]

    async def ssh(self, command: str, stdin: bytes = b"") -> Done:
        self.counts["logins"] += 1
        done = await trio.run_process(
            self.line(command), stdin=stdin, capture_stdout=True, capture_stderr=True, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)


def expect(done: Done, status: int, out: bytes | None = None) -> None:
    if done.status != status or (out is not None and done.out != out):
        raise Wrong(f"status {done.status} and not {status}, {len(done.out)} bytes; stderr {done.err[-300:]!r}", done)


@cache
def numbers(count: int) -> tuple[int, str]:
    """Length and hash of what `seq COUNT` prints."""
    text = b"".join(b"%d\n" % number for number in range(1, count + 1))
    return len(text), hashlib.sha256(text).hexdigest()


# The jobs


async def quick(load: Load) -> None:
    number, status = next(load.names), load.dice.randrange(1, 120)
    expect(await load.ssh(f"echo {number}; exit {status}"), status, b"%d\n" % number)


async def up(load: Load) -> None:
    data = load.dice.randbytes(64) + BLOCK * load.dice.choice((1, 4, 32))
    expect(await load.ssh("sha256sum; exit 3", data), 3, f"{hashlib.sha256(data).hexdigest()}  -\n".encode())
    load.counts["bytes checked"] += len(data)


async def down(load: Load) -> None:
    count = load.dice.choice(LINES)
    done = await load.ssh(f"seq {count}; exit 4")
    expect(done, 4)
    if (len(done.out), hashlib.sha256(done.out).hexdigest()) != numbers(count):
        raise Wrong(f"{len(done.out)} bytes of {numbers(count)[0]}, with a good status", None)
    load.counts["bytes checked"] += len(done.out)


async def there_and_back(load: Load) -> None:
    data = load.dice.randbytes(64) + BLOCK * load.dice.choice((1, 8, 32))
    done = await load.ssh("cat; exit 5", data)
    expect(done, 5)
    if done.out != data:
        raise Wrong(f"{len(done.out)} bytes of {len(data)} came back, with a good status", None)
    load.counts["bytes checked"] += 2 * len(data)


async def killed(load: Load) -> None:
    """Kill -9, or stopped until the server has missed it."""
    load.counts["logins"] += 1
    frozen = load.dice.random() < 0.2
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = await trio.lowlevel.open_process(load.line("echo ready; cat"), **pipes)  # type: ignore[arg-type]
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    async with process.stdin, process.stdout, process.stderr:
        try:
            said = await process.stdout.receive_some()
            if said != b"ready\n":
                raise Wrong(f"{said!r} and not ready", Done(await process.wait(), said, b"moorage: ?"))
            with trio.move_on_after(load.dice.random()), suppress(trio.BrokenResourceError):
                await process.stdin.send_all(BLOCK * 4)
            if frozen:
                os.kill(process.pid, 19)
                await trio.sleep(2 * ALIVE_S)
            load.counts["clients frozen" if frozen else "clients killed"] += 1
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def resized(load: Load) -> None:
    load.counts["logins"] += 1
    async with open_terminal(load.line(None, "-tt"), 80, 24) as terminal:
        for _ in range(load.dice.randrange(1, 20)):
            columns, rows = load.dice.randrange(20, 200), load.dice.randrange(10, 90)
            terminal.resize(columns, rows)
            load.counts["resizes"] += 1
            await trio.sleep(load.dice.random() / 10)
        while b"%d %d\r\n" % (rows, columns) not in terminal.shown:
            await terminal.type(b"stty size\r")
            with trio.move_on_after(0.3):
                while await terminal._more():
                    pass
                raise Wrong("the terminal has ended", Done(await terminal.end(), b"", terminal.shown))
        await terminal.type(b"exit 6\r")
        status = await terminal.end()
        expect(Done(status, b"", terminal.shown), 6)


async def held(load: Load) -> None:
    """A session that lasts, with a line there and back now and then."""
    load.counts["logins"] += 1
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = await trio.lowlevel.open_process(load.line("cat; exit 7"), **pipes)  # type: ignore[arg-type]
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    async with process.stdin, process.stdout, process.stderr:
        try:
            for number in range(load.dice.randrange(5, 60)):
                said, line = b"", b"line %d\n" % number
                with suppress(trio.BrokenResourceError):
                    await process.stdin.send_all(line)
                while not said.endswith(b"\n") and (piece := await process.stdout.receive_some()):
                    said += piece
                if said != line:
                    err = await process.stderr.receive_some()
                    raise Wrong(f"{said!r} and not {line!r}", Done(await process.wait(), said, err))
                await trio.sleep(1)
            await process.stdin.aclose()
            err = b"".join([piece async for piece in process.stderr])
            expect(Done(await process.wait(), b"", err), 7)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def several(load: Load) -> None:
    """Programs beside each other in one connection."""
    load.counts["logins"] += 1
    key = str(load.folder / "user_key")
    where = {"username": USER, "client_keys": [key], "known_hosts": None, "config": None, "agent_path": None}
    conn = await aio(partial(asyncssh.connect, "127.0.0.1", load.port, **where))
    try:
        async with trio.open_nursery() as nursery:
            for _ in range(load.dice.randrange(2, 9)):
                nursery.start_soon(_one_of_several, load, conn)
    finally:
        conn.close()
        with trio.CancelScope(shield=True):
            await aio(conn.wait_closed)


async def _one_of_several(load: Load, conn: asyncssh.SSHClientConnection) -> None:
    number, status = next(load.names), load.dice.randrange(1, 120)
    done = await aio(partial(conn.run, f"echo {number}; exit {status}", encoding=None))
    expect(Done(done.returncode, done.stdout, done.stderr), status, b"%d\n" % number)
    load.counts["sessions beside others"] += 1


async def stranger(load: Load) -> None:
    """What does not speak SSH, or begins to and stops."""
    load.counts["strangers"] += 1
    sent = load.dice.choice((b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n\0\0\2\x58\x08half", b""))
    with suppress(trio.BrokenResourceError, OSError):
        async with await trio.open_tcp_stream("127.0.0.1", load.port) as stream:
            await stream.send_all(sent)
            with trio.move_on_after(load.dice.choice((0.0, 1.0, 10.0))):
                async for _ in stream:
                    pass


Job = Callable[[Load], Awaitable[None]]
JOBS: tuple[tuple[Job, int], ...] = (
    (quick, 8), (up, 2), (down, 2), (there_and_back, 2), (killed, 4), (resized, 2), (held, 2), (several, 2),
    (stranger, 3),
)  # fmt: skip


async def worker(load: Load) -> None:
    """One job after the other, while the gate is open."""
    jobs, weights = zip(*JOBS, strict=True)
    while True:
        await load.gate.wait()
        (job,) = load.dice.choices(jobs, weights)
        load.running += 1
        try:
            await _judged(load, job)
        finally:
            load.running -= 1


async def _judged(load: Load, job: Job) -> None:
    since = trio.current_time()
    try:
        with trio.fail_after(JOB_S_MAX):
            await job(load)
    except (Wrong, ExceptionGroup, asyncssh.Error, OSError, trio.TooSlowError, AssertionError) as error:
        alone: BaseException = error
        while isinstance(alone, ExceptionGroup):
            alone = alone.exceptions[0]
        done = alone.args[1] if isinstance(alone, Wrong) and len(alone.args) > 1 else None
        told = isinstance(done, Done) and done.status in TOLD and b"moorage: " in done.err
        if load.was_faulty(since) and (told or isinstance(alone, asyncssh.Error)):
            load.counts["cut by the engine, and told"] += 1
        else:
            load.wrong.append(f"{job.__name__} after {trio.current_time() - since:.1f} s: {alone!r}")
    else:
        load.counts[f"jobs: {job.__name__}"] += 1
