"""What the clients of a simulated run do: log in, ask for things in any order, and leave at any moment."""

from collections.abc import Awaitable, Callable
from random import Random

import trio
from msgspec import Struct
from msgspec.structs import replace

from actors.ports import Supervisor
from moorage.testing.fake_client import FakeChannel, FakeClient
from moorage.testing.weather import Weather
from moorage.testing.wrong import Stuck
from protocol.base import Event, Size
from protocol.connection import Authenticated, AuthFailed, RequestRefused, ShimFailed
from protocol.session import EnvOffered, OddRequest, Program, ProgramWanted, PtyWanted, SignalWanted, WindowChanged

SIGNALS = ("TERM", "INT", "KILL", "USR1", "HUP")
FLOOD = 100  # more than the 64 that a mailbox takes from a peer
PATIENCE_S = 200.0  # in fair weather every program of an end ends within this, whatever deadlines are under way
FAREWELL_S = 30.0


class Job(Struct, frozen=True, kw_only=True):
    """A program, and how it ends when nobody disturbs it. `status` None: not by itself."""

    program: Program = "exec"
    command: str = ""
    status: int | None = 0
    out: bytes = b""
    reads: bool = False  # and says back what it reads
    input: bytes = b""
    why: str = ""  # not admitted, and why


QUICK = (
    Job(command="true"),
    Job(command="exit 7", status=7),
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
    Job(status=125, why="The command contains a NUL byte."),
    Job(program="subsystem", command="no-such", status=125, why="There is no such subsystem."),
)


class Customer:
    """One client, its dice and its habits. `visits` are its channels with the job of each."""

    def __init__(self, supervisor: Supervisor, nursery: trio.Nursery, weather: Weather, name: str) -> None:
        self.client = FakeClient(supervisor, nursery)
        self.visits: list[Visit] = []
        self._dice = Random(f"{weather.seed} {name}")
        self._weather, self._name = weather, name
        self._supervisor, self._nursery = supervisor, nursery

    def has(self, habit: str, chance: float = 0.5) -> bool:
        """Does it do that now?"""
        return habit in self._weather.habits and self._dice.random() < chance

    async def pause(self) -> None:
        """As long as this client takes between two things."""
        await trio.sleep(self._dice.choice((0.0, 0.0, 0.2, 1.0, 5.0)) * self._weather.tempo)

    async def live(self, fair: trio.Event, accepts: Callable[[], bool]) -> None:
        """From its connection to its farewell, once the weather is fair."""
        await trio.sleep(self._dice.choice((0.0, 0.1, 1.0, 5.0)))
        if not accepts():
            return
        self.client.connect(f"192.0.2.7:{40000 + self._dice.randrange(1000)}")
        async with trio.open_nursery() as nursery:
            if self.has("disconnects"):
                nursery.start_soon(self._after, self._at_any_moment(), self.client.disconnect)
            if self.has("goes silent", 0.3):
                nursery.start_soon(self._after, self._at_any_moment(), self._go_silent)
            for _ in range(self._dice.randrange(1, 3) if self.has("meets an error of ours", 0.3) else 0):
                nursery.start_soon(self._after, self._at_any_moment(), self._meet_an_error)
            for _ in range(self._dice.randrange(3) if self.has("asks for what there is not") else 0):
                nursery.start_soon(self._after, self._at_any_moment(), self._ask_odd)
            if await self._log_in():
                for _ in range(self._how_many()):
                    nursery.start_soon(self._open)
                    await self.pause()
            await fair.wait()
            await self._say_farewell()
            nursery.cancel_scope.cancel()

    def _at_any_moment(self) -> float:
        return self._dice.choice((0.0, 0.002, 0.05, 0.5, 3.0, 20.0)) * (0.5 + self._dice.random())

    async def _after(self, seconds: float, do: Callable[[], None]) -> None:
        await trio.sleep(seconds)
        if self._is_here():
            do()

    def _is_here(self) -> bool:
        return self.client.mailbox is not None and not self.client.lost.is_set() and not self.client.silent

    def _go_silent(self) -> None:
        """Frozen, or the network is gone: it reads nothing, answers nothing, and that is noticed late or never."""
        self.client.silent = True
        for channel in self.client.channels:
            channel.stop_reading()
        if self._dice.random() < 0.5:
            self._nursery.start_soon(self._be_missed, self._at_any_moment())

    async def _be_missed(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.client.hang_up("no sign of life", "silent")

    def _meet_an_error(self) -> None:
        self.client.shim_failed = True
        self._post(ShimFailed(why="an error of the simulation"))

    def _ask_odd(self) -> None:
        self._offer(RequestRefused(what="tcpip-forward", why="this global request is not served here"))

    def _post(self, event: Event) -> None:
        assert self.client.mailbox is not None
        self.client.mailbox.post(event)

    def _offer(self, event: Event) -> None:
        assert self.client.mailbox is not None
        self.client.mailbox.offer(event)

    async def _log_in(self) -> bool:
        await self.pause()
        while self.has("fails to log in") and self._is_here():
            self._post(AuthFailed(username="ann", method="publickey", why="not one of this user's keys"))
            await self.pause()
        if self.has("never logs in", 0.3) or not self._is_here() or self.client.told:
            if self._is_here() and self._dice.random() < 0.5:
                self.client.hang_up("not an SSH 2.0 client", "not_ssh")
            return False
        self._post(Authenticated(username="ann", method="publickey", by="SHA256:0"))
        await self.pause()
        return True

    def _how_many(self) -> int:
        return self._dice.randrange(8, 20) if self.has("opens many channels", 0.3) else self._dice.randrange(4)

    async def _open(self) -> None:
        if not self._is_here() or self.client.told:
            return
        assert self.client.mailbox is not None
        refusal = self._supervisor.may_open(self.client.mailbox)
        if refusal.why:
            self._offer(RequestRefused(what="session", why=refusal.why, refused_by=refusal.by))
            return
        channel = FakeChannel(self.client)
        channel.port = self._supervisor.session_opened(self.client.mailbox, channel)
        self.client.channels.append(channel)
        visit = Visit(self, channel, self._job(), self._dice)
        self.visits.append(visit)
        await visit.live()

    def _job(self) -> Job | None:
        if self.has("runs no program", 0.2):
            return None
        if self.has("wants a shell", 0.3):
            return SHELL
        if self.has("wants a subsystem", 0.3):
            is_there = self._weather.settings.docker.execution.subsystems["sftp"] == "/bin/cat"
            return SUBSYSTEM if is_there else NO_SUBSYSTEM
        if self.has("is refused", 0.2):
            return self._dice.choice(REFUSED)
        return self._dice.choice(ENDLESS if self.has("runs for ever") else QUICK)

    async def _say_farewell(self) -> None:
        """Fair weather: programs get their end of input and time to end; then the client goes, as people do."""
        if self.client.silent:
            await trio.sleep(FAREWELL_S)
            self.client.disconnect()
            return
        patience = trio.current_time() + PATIENCE_S
        while left := self._left():
            if trio.current_time() > patience:
                raise Stuck(f"in fair weather a session does not end: {', '.join(left)}")
            await trio.sleep(1.0)
        for visit in self.visits:
            visit.channel.leave()
            await self.pause()
        await self.pause()
        if not self.client.lost.is_set():
            self.client.disconnect()

    def _left(self) -> list[str]:
        """Channels that have to end and have not yet, after all is done from the client's side."""
        for visit in self.visits:
            visit.channel.read_on()
            visit.channel.send_eof()
        return [str(visit) for visit in self.visits if visit.ends and not visit.channel.ended.is_set()]


class Newcomer(FakeClient):
    """A client without bad habits."""

    async def run(self, command: str) -> int | None:
        """Log in, run it, and return its exit status."""
        self.connect("192.0.2.8:40000")
        assert self.mailbox is not None
        self.mailbox.post(Authenticated(username="bob", method="publickey", by="SHA256:1"))
        channel = FakeChannel(self)
        channel.port = self.supervisor.session_opened(self.mailbox, channel)
        self.channels.append(channel)
        channel.port.vault.command = command.encode()
        channel.port.post(ProgramWanted(program="exec", command=command))
        channel.send_eof()
        await channel.ended.wait()
        return channel.status


class Visit:
    """One channel: what is asked for on it, in which order, and when the client has had enough."""

    def __init__(self, customer: Customer, channel: FakeChannel, job: Job | None, dice: Random) -> None:
        self.channel, self.job = channel, job
        self.pty = self.asked = False
        self.signals: set[str] = set()
        self.sent = bytearray()
        self._customer, self._dice = customer, dice

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
        self._want_program(self.job)
        if self.job.input and not self.channel.send(self.job.input):
            # The shell reads the end of its input instead, and is content; at a terminal there is none.
            self.job = replace(self.job, status=None if self.pty else 0, out=b"")
        await pause()
        for act in self._acts():
            if not self._is_here():
                return
            await act()
            await pause()
        if has("ends its input early") or self._dice.random() < 0.5:
            self.channel.send_eof()
        if has("closes early", 0.4):
            await trio.sleep(self._dice.choice((0.0, 0.01, 0.3, 4.0)))
            self.channel.leave()

    def _is_here(self) -> bool:
        return not self.channel.ended.is_set() and not self.channel.client.silent

    async def _ask_for_things(self) -> None:
        has, port = self._customer.has, self.channel.port
        if has("sends env"):
            port.offer(EnvOffered(name="LANG"))
            port.vault.env["LANG"] = "C.UTF-8"
            port.offer(EnvOffered(name="A=B", taken=False, why="not a name"))
            await self._customer.pause()
        if has("asks for what there is not"):
            port.offer(OddRequest(what="x11-req", why="this request is not served here"))
        if has("sends signals", 0.2):
            port.offer(SignalWanted(signal="INT"))
        if has("wants a terminal"):
            self.pty = True
            port.vault.term = "xterm"
            port.post(PtyWanted(term="xterm", size=self._size()))
        if has("resizes", 0.3) and self.pty:
            port.offer(WindowChanged(size=self._size()))
        if has("ends its input early", 0.2):
            self.channel.send_eof()
        if has("reads slowly", 0.3):
            self.channel.stop_reading()
        if self._dice.random() < 0.5:
            await self._customer.pause()

    def _size(self) -> Size:
        return Size(columns=self._dice.choice((0, 80, 132)), rows=self._dice.choice((0, 24, 50)))

    def _want_program(self, job: Job) -> None:
        port = self.channel.port
        self.asked = True
        if job.program == "subsystem":
            port.vault.subsystem = job.command
        else:
            port.vault.command = job.command.encode()
        port.post(ProgramWanted(program=job.program, command=job.command, admitted=not job.why, why=job.why))

    def _acts(self) -> list[Callable[[], Awaitable[None]]]:
        """What it does while the program is being started and runs, in any order."""
        acts: list[Callable[[], Awaitable[None]]] = []
        for habit, act in (
            ("sends signals", self._signal),
            ("resizes", self._resize),
            ("asks for what there is not", self._ask_odd),
            ("asks too late", self._ask_late),
            ("floods", self._flood),
            ("reads slowly", self._read_slowly),
        ):
            acts += [act] * (self._dice.randrange(1, 3) if self._customer.has(habit) else 0)
        if self.job is not None and self.job.reads:
            acts += [self._send] * self._dice.randrange(4)
        self._dice.shuffle(acts)
        return acts

    async def _signal(self) -> None:
        name = self._dice.choice(SIGNALS)
        self.signals.add(name)
        self.channel.port.offer(SignalWanted(signal=name))

    async def _resize(self) -> None:
        if self.pty:
            self.channel.port.offer(WindowChanged(size=self._size()))

    async def _ask_odd(self) -> None:
        self.channel.port.offer(OddRequest(what="break", why="this request is not served here"))

    async def _ask_late(self) -> None:
        why = "there is a program already; one channel has one"
        self.channel.port.offer(ProgramWanted(program="exec", admitted=False, why=why))

    async def _flood(self) -> None:
        for _ in range(FLOOD):
            self.channel.port.offer(OddRequest(what="flood", why="this request is not served here"))

    async def _read_slowly(self) -> None:
        """It reads on later, and does other things meanwhile."""
        self.channel.stop_reading()
        self.channel.client.nursery.start_soon(self._read_later, self._dice.choice((0.01, 1.0, 15.0)))

    async def _read_later(self, seconds: float) -> None:
        await trio.sleep(seconds)
        if self._is_here():
            self.channel.read_on()

    async def _send(self) -> None:
        data = self._dice.choice((b"one line\n", bytes(100_000), b"x" * 1000))
        if self.channel.send(data):
            self.sent += data
