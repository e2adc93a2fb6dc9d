"""One channel of a simulated client: what is asked for on it, in which order, and what is to be expected of it."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import trio
from msgspec import Struct
from msgspec.structs import replace

from actors.login import Grant
from actors.ssh.requests import Requests
from fsm.policy import original_command_refusal, program_refusal
from moorage.testing.fake_client import FakeChannel
from protocol.session import Program
from protocol.settings import Settings

if TYPE_CHECKING:
    from moorage.testing.customers import Customer

SIGNALS = ("TERM", "INT", "KILL", "USR1", "HUP")
FIDGETS_MAX = 30
FLOOD = 100  # more than the 64 that a mailbox takes from a peer


class Job(Struct, frozen=True, kw_only=True):
    """A program, and how it ends when nobody disturbs it. `status` None: not by itself."""

    program: Program = "exec"
    command: str = ""
    status: int | None = 0
    out: bytes = b""
    reads: bool = False  # and says back what it reads
    input: bytes = b""


EXIT_7 = Job(command="exit 7", status=7)
QUICK = (
    Job(command="true"),
    EXIT_7,
    Job(command="echo hello", out=b"hello\n"),
    Job(command="echo oops >&2; exit 3", status=3),
    Job(command="sleep 0.7; echo late; exit 2", status=2, out=b"late\n"),
    Job(command="sleep 20; exit 5", status=5),
    Job(command="kill -TERM $$", status=143),
    Job(command="no-such-program", status=127),
    Job(command="cat", reads=True),
    Job(command="cat >&2; exit 4", status=4, reads=True),
    Job(command="head -c 300000 /dev/zero", out=bytes(300000)),
)
ENDLESS = (
    Job(command="sleep infinity", status=None),
    Job(command="trap : TERM INT; wait", status=None),
)
SHELL = Job(program="shell", status=9, out=b"hello\n", input=b"echo hello\nexit 9\n")
SUBSYSTEM = Job(program="subsystem", command="sftp", reads=True)
NO_SUBSYSTEM = Job(program="subsystem", command="sftp", status=127)  # its program is not in the image
REFUSED = (
    Job(command="a\0b", status=125),
    Job(program="subsystem", command="no-such", status=125),
)
NOT_RUN = Job(status=125)  # a sentence says why
# What is run in place of what was asked for, by the policy or by a key's line.
FORCED = {"exit 6": Job(command="exit 6", status=6), "cat": Job(command="cat", reads=True)}


def expected(job: Job, settings: Settings, grant: Grant) -> Job:
    """What comes of asking for it, as the policy and the key have it."""
    wanted = job.command.encode()
    if program_refusal(settings, job.program, wanted).why:
        return NOT_RUN
    forced = settings.security.force_command or grant.rights.forced_command
    if forced is None:
        return job
    return NOT_RUN if original_command_refusal(wanted) else replace(FORCED[forced], input=job.input)


class Visit:
    """One channel: what is asked for on it, in which order, and when the client has had enough."""

    def __init__(self, customer: "Customer", channel: FakeChannel, job: Job | None, dice: Random) -> None:
        self.channel, self.job = channel, job
        self.pty = self.asked = False
        self.signals: set[str] = set()
        self.sent = bytearray()
        self._customer, self._dice = customer, dice
        self._requests = Requests(channel.port, customer.settings, customer.grant)
        self._settings = customer.settings

    def __str__(self) -> str:
        return f"{self.channel.port.id} ({self.job.command or self.job.program if self.job else 'no program'})"

    @property
    def ends(self) -> bool:
        """By itself, once its input has ended. A terminal has no end of input."""
        job = self.job
        if not self.asked or job is None or self.channel.client.silent:
            return False
        return job.status is not None and not (job.reads and self.pty)

    async def live(self) -> None:
        """Until the channel has ended, or the client has nothing more to say."""
        has, pause = self._customer.has, self._customer.pause
        await self._ask_for_things()
        if self.job is None or not self._is_here():
            return
        self.job = self._want_program(self.job)
        if self.job.input and self.channel.send(self.job.input):
            self.sent += self.job.input
        elif self.job.program == "shell":
            # The shell reads the end of its input instead, and is content; at a terminal there is none.
            self.job = replace(self.job, status=None if self.pty else 0, out=b"")
        await pause()
        for act in self._acts():
            if not self._is_here():
                return
            act()
            await pause()
        if has("fidgets"):
            await self._fidget()
        if has("ends its input early") or self._dice.random() < 0.5:
            self.channel.send_eof()
        if has("closes early", 0.4):
            await trio.sleep(self._dice.choice((0.0, 0.01, 0.3, 4.0)))
            self.channel.leave()

    def _is_here(self) -> bool:
        return not self.channel.ended.is_set() and not self.channel.client.silent

    async def _ask_for_things(self) -> None:
        has, requests = self._customer.has, self._requests
        if has("sends env"):
            requests.env(b"LANG", b"C.UTF-8")
            requests.env(b"A=B", b"not a name")
            await self._customer.pause()
        if has("asks for what there is not"):
            requests.x11()
        if has("sends signals", 0.2):
            requests.signal(b"INT")
        if has("wants a terminal"):
            self.pty = requests.pty(b"xterm", *self._size(), b"")
        if has("resizes", 0.3):
            requests.window(*self._size())
        if has("ends its input early", 0.2):
            self.channel.send_eof()
        if has("reads slowly", 0.3):
            self.channel.stop_reading()
        if self._dice.random() < 0.5:
            await self._customer.pause()

    def _size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._dice.choice((0, 80, 132)), self._dice.choice((0, 24, 50))

    def _want_program(self, job: Job) -> Job:
        """Ask for it; what is to be expected of it, as the policy has it."""
        self.asked = True
        self._requests.start(job.program, job.command.encode())
        return expected(job, self._settings, self._customer.grant)

    def _acts(self) -> list[Callable[[], None]]:
        """What it does while the program is being started and runs, in any order."""
        acts: list[Callable[[], None]] = []
        for habit, act in (
            ("sends signals", self.signal),
            ("resizes", self.resize),
            ("asks for what there is not", self.ask_odd),
            ("asks too late", self.ask_late),
            ("floods", self._flood),
            ("reads slowly", self._read_slowly),
        ):
            acts += [act] * (self._dice.randrange(1, 3) if self._customer.has(habit) else 0)
        if self.job is not None and self.job.reads:
            acts += [self._send] * self._dice.randrange(4)
        self._dice.shuffle(acts)
        return acts

    def ask_more(self) -> None:
        self._requests.env(b"LANG", b"C")
        self._requests.pty(b"dumb", *self._size(), b"")

    async def _fidget(self) -> None:
        """All the time, so that something comes in every state."""
        fidgets = (self.resize, self.resize, self.ask_odd, self.ask_late, self.signal)
        for _ in range(FIDGETS_MAX):
            if not self._is_here():
                return
            self._dice.choice(fidgets if self._customer.has("sends signals", 0.2) else fidgets[:-1])()
            await trio.sleep(self._dice.choice((0.05, 0.2, 0.2, 1.0)))

    def signal(self) -> None:
        name = self._dice.choice(SIGNALS)
        self.signals.add(name)
        self._requests.signal(name.encode())

    def resize(self) -> None:
        self._requests.window(*self._size())

    def ask_odd(self) -> None:
        self._requests.odd(b"break", "this request is not served here")

    def ask_late(self) -> None:
        self._requests.start("exec", b"true")

    def _flood(self) -> None:
        for _ in range(FLOOD):
            self._requests.odd(b"flood", "this request is not served here")

    def _read_slowly(self) -> None:
        """It reads on later, and does other things meanwhile."""
        self.channel.stop_reading()
        self.channel.client.nursery.start_soon(self._read_later, self._dice.choice((0.01, 1.0, 15.0)))

    async def _read_later(self, seconds: float) -> None:
        await trio.sleep(seconds)
        if self._is_here():
            self.channel.read_on()

    def _send(self) -> None:
        data = self._dice.choice((b"one line\n", bytes(100_000), b"x" * 1000))
        if self.channel.send(data):
            self.sent += data
