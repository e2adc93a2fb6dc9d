"""What the clients of a simulated run do: log in, ask for things in any order, and leave at any moment."""

from collections.abc import Callable
from math import inf
from random import Random

import trio

from actors.login import Grant
from actors.ports import Supervisor
from actors.ssh.requests import Requests
from fsm import policy
from moorage.testing.fake_client import FakeChannel, FakeClient
from moorage.testing.fake_login import FakeLogin
from moorage.testing.fake_web import FakeServices
from moorage.testing.visits import ENDLESS, NO_SUBSYSTEM, QUICK, REFUSED, SHELL, SUBSYSTEM, Job, Visit, expected
from moorage.testing.ways_drawn import NAMES, NEWCOMER
from moorage.testing.weather import Weather
from moorage.testing.wrong import Stuck, expect
from protocol.connection import RequestRefused, ShimFailed
from protocol.settings import Settings
from protocol.ways import FACTORS, Factor

PATIENCE_S = 200.0  # in fair weather every program of an end ends within this, whatever deadlines are under way
FAREWELL_S = 30.0
MOMENTS_S = (0.0, 0.1, 0.1, 1.0)  # as long as services take, so that the two meet
FAILURES_MAX = 6  # of one connection: maxAuthTries
FORWARDINGS = (b"direct-tcpip", b"direct-streamlocal@openssh.com", b"tcpip-forward", b"no-such-request")


class Customer:
    """One client, its dice and its habits. `visits` are its channels with the job of each."""

    def __init__(
        self,
        supervisor: Supervisor,
        services: FakeServices,
        nursery: trio.Nursery,
        weather: Weather,
        name: str,
        stop_s: float,
        mark: Callable[[str], None],
    ) -> None:
        self.client = FakeClient(supervisor, nursery)
        self.grant = Grant()
        self._services, self._stop_s, self._mark = services, stop_s, mark
        self._attempt = trio.CancelScope()
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
        await trio.sleep(self._arrival_s())
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
            if await self._log_in(fair):
                for _ in range(self._how_many()):
                    nursery.start_soon(self._open)
                    await self.pause()
            await fair.wait()
            await self._say_farewell()
            nursery.cancel_scope.cancel()

    def _arrival_s(self) -> float:
        """Some come as the daemon stops, when those that are there have been told and it has accepted one more."""
        if self.has("comes late"):
            return max(0.0, self._stop_s + self._dice.choice((-0.1, 0.0, 0.2, 0.5, 0.55)))
        return self._dice.choice((0.0, 0.1, 1.0, 5.0))

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
        assert self.client.mailbox is not None
        self.client.mailbox.post(ShimFailed(why="an error of the simulation"))

    def _ask_odd(self) -> None:
        what = self._dice.choice(FORWARDINGS)
        self._refuse(what.decode(), policy.forwarding_refusal(self.settings.security, what))

    def act(self, what: str) -> None:
        """One of the things that it does at any moment, now."""
        if not self._is_here():
            return
        match what:
            case "disconnect":
                self.client.disconnect()
            case "go silent":
                self._go_silent()
            case "fail":
                self._meet_an_error()
            case "forward":
                self._ask_odd()
            case "open" if self.grant.chosen is not None:
                self._nursery.start_soon(self._open)

    @property
    def short_id(self) -> str:
        """What the ids of its connection's actors have in them; empty before there is one."""
        return self.client.mailbox.id.removeprefix("cn-") if self.client.mailbox is not None else ""

    def drop_attempt(self) -> None:
        """It begins another one."""
        self._attempt.cancel()

    def _refuse(self, what: str, refusal: policy.ChannelRefusal) -> None:
        assert self.client.mailbox is not None
        self.client.mailbox.offer(RequestRefused(what=what, why=refusal.why, refused_by=refusal.by))

    @property
    def settings(self) -> Settings:
        """Those of its connection."""
        assert self.client.mailbox is not None
        return self.client.mailbox.settings

    async def _log_in(self, fair: trio.Event) -> bool:
        await self.pause()
        if not self._is_here() or self.client.told:
            return False
        if self.has("never logs in", 0.3):
            if self._dice.random() < 0.5:
                self.client.hang_up("not an SSH 2.0 client", "not_ssh")
            return False
        login = FakeLogin(self.client, self._supervisor, self._services, self._weather.rights)
        login.on_reply = lambda reply: self._mark(f"login {reply}")
        failures = 0
        login.named(self._login_name())
        while self._is_here() and not self.client.told:
            errs = not fair.is_set() and self.has("fails to log in", 0.4)
            patience_s = inf
            if not fair.is_set() and self.has("changes its mind", 0.3):
                patience_s = self._dice.choice(MOMENTS_S)
            outcome = await self._try(login, errs, patience_s)
            if outcome in ("success", "gone"):
                self.grant = login.grant
                break
            failures += outcome == "failure"
            if failures == FAILURES_MAX:
                self.client.hang_up("Too many authentication failures")
            elif errs and self._dice.random() < 0.5:
                login.named(self._login_name())
            await trio.sleep(self._dice.choice(MOMENTS_S) * self._weather.tempo)
        return self._is_here() and self.grant.chosen is not None

    def _login_name(self) -> str:
        errs = self.has("fails to log in", 0.3)
        name = self._dice.choice(NAMES) if errs else "ann"
        templates = (*self.settings.templates, *(("none",) if errs else ()))
        return f"{name}+{self._dice.choice(templates)}" if templates and self._dice.random() < 0.3 else name

    def _factor(self, login: FakeLogin, errs: bool) -> Factor:
        """What may come next, or whatever it is offered."""
        factors = login.open_factors
        if not factors or (errs and self._dice.random() < 0.5):
            factors = [factor for factor in FACTORS if login.offers(factor)] or ["publickey"]
        return factors[0] if self._dice.random() < 0.5 else self._dice.choice(factors)

    async def _try(self, login: FakeLogin, errs: bool, patience_s: float) -> str:
        """One try, until it is given up for another one."""
        with trio.move_on_after(patience_s) as self._attempt:
            return await login.attempt(self._factor(login, errs), not errs, self._dice)
        self._mark("login dropped")
        return "dropped"

    def _how_many(self) -> int:
        return self._dice.randrange(8, 20) if self.has("opens many channels", 0.3) else self._dice.randrange(4)

    async def _open(self) -> None:
        if not self._is_here() or self.client.told:
            return
        assert self.client.mailbox is not None
        channels = sum(not channel.ended.is_set() for channel in self.client.channels)
        refusal = policy.session_refusal(self.settings.security, channels)
        refusal = refusal if refusal.why else self._supervisor.may_open(self.client.mailbox)
        if refusal.why:
            self._refuse("session", refusal)
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
            is_there = self.settings.docker.execution.subsystems["sftp"] == "/bin/cat"
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

    def __init__(self, supervisor: Supervisor, services: FakeServices, nursery: trio.Nursery, weather: Weather) -> None:
        super().__init__(supervisor, nursery)
        self._services, self._weather = services, weather
        self._dice = Random(f"{weather.seed} newcomer")

    async def run(self, job: Job) -> tuple[int | None, Job]:
        """Log in and run it: its exit status (None: the policy opens no channel) and what was to be expected."""
        self.connect("192.0.2.8:40000")
        assert self.mailbox is not None
        login = FakeLogin(self, self.supervisor, self._services, self._weather.rights)
        login.pauses_s = (0.0,)
        login.named(NEWCOMER)
        while (outcome := await login.attempt(login.open_factors[0], True, self._dice)) != "success":
            expect(outcome == "partial", f"a newcomer is not let in: {outcome}")
        if policy.session_refusal(self.mailbox.settings.security, 0).why:
            return None, job
        channel = FakeChannel(self)
        channel.port = self.supervisor.session_opened(self.mailbox, channel)
        self.channels.append(channel)
        Requests(channel.port, self.mailbox.settings, login.grant).start(job.program, job.command.encode())
        channel.send_eof()
        await channel.ended.wait()
        return channel.status, expected(job, self.mailbox.settings, login.grant)
