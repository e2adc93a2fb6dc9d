"""The connection machine among a client, sessions, a container, a server that stops, and the clock."""

from typing import get_args

from fsm.connection_rows import CONNECTION
from fsm.kernel import Kind
from protocol import codes
from protocol.base import Effect, Event, Tell
from protocol.connection import (
    AbortConnection,
    Authenticated,
    AuthFailed,
    ChannelRefusedBy,
    CloseConnection,
    CloseWanted,
    ConnectionOpened,
    DisconnectCause,
    Disconnected,
    DrainWanted,
    LandContainer,
    LimitNears,
    LimitPassed,
    RequestRefused,
    SessionEnded,
    SessionOpened,
    ShimFailed,
    StartTimer,
    TerminateWanted,
)
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded, ContainerProgressed, StopWanted
from protocol.limits import Counted, LimitReached
from protocol.settings import ExecutionMode
from protocol.timer import TimerStarted, TimerStopped
from tests.fsm.walks import Choice, World, Wrong

SECONDS = {"login_grace": 60.0, "farewell": 10.0, "close": 10.0}
IDLE = TimerStarted(connection="cn", limit="idle", allowed_s=600.0, warns=True, seconds={"warn": 540.0})
PASSED = LimitPassed(code="MOORAGE_LIMIT_IDLE", why="it is over")
NEARS = LimitNears(code="MOORAGE_LIMIT_IDLE_NEAR", why="it is nearly over")
SERVER = (DrainWanted, TerminateWanted, CloseWanted)


class ConnectionWorld(World):
    """`sessions` are those that live, `heard` what each was told."""

    kind = CONNECTION

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.own = self.dice.random() < 0.3
        self.image = "busybox"
        self.container = "absent"  # then landing, and landed or failed; and exited
        self.sessions: list[str] = []
        self.heard: dict[str, list[Event]] = {}
        self.news: list[Event] = []  # what every session is to know: Landed, Failed or the death
        self.stops: list[Event] = []
        self.count = 0
        self.shutdown = self.dice.choice((0, 0, 0, 1, 2))  # it may come when the server ends already
        self.timed = self.dice.choice((0.0, 0.0, 0.05, 0.2))
        self.timer = "none"  # then runs, and stopped
        self.full: Counted | None = self.dice.choice((None, None, None, "connections", "containers", "logins"))
        self.logged_in = self.closing = self.aborted = self.gone = False
        self.sociable = self.dice.choice((0.0, 0.1, 0.4))
        self.leaves = self.dice.choice((0.0, 0.02, 0.1))
        self.stops_at = self.dice.choice((0.0, 0.02, 0.2))
        self.crashes = self.dice.choice((0.0, 0.0, 0.02))
        self.take(
            ConnectionOpened(
                connection="0" * 32,
                remote="192.0.2.1:4",
                mode="session" if self.own else "connection",
                image="busybox",
                container="ct",
                seconds=SECONDS,
                reached=self._reached("connections") if self.dice.random() < 0.1 else None,
            )
        )

    def choices(self) -> list[Choice]:
        found: list[Choice] = []
        leaves = 1.0 if self.aborted else 0.3 if self.closing or self.fair else self.leaves
        if leaves and not (self.closing and not self.aborted and self.dice.random() < self.haste):
            found.append((leaves, self._disconnected))
        if not self.fair:
            found += self._of_client()
        if self.sessions:
            found.append((0.1, self._session_ends))
        if self.container == "landing":
            found += [(0.1, lambda: ContainerProgressed(line="1 of 2 MB")), (0.2, self._lands)]
        if self.container == "landed" and not self.fair:
            found.append((0.1 * self.storm, self._exits))
        if self.stops_at:
            found.append((self.stops_at, self._server))
        if self.crashes:
            found.append((self.crashes, lambda: ShimFailed(why="ours")))
        if self.timer == "runs" or (self.timer == "stopped" and not self.fair):  # it may cross our stop
            found += [(self.timed, lambda: NEARS), (self.timed, lambda: PASSED)]
        return found

    def _of_client(self) -> list[Choice]:
        def no_login() -> Event:
            return AuthFailed(username="ann", method="password", why="no")

        found: list[Choice] = [(0.08, self._is_refused)]
        if not self.logged_in:
            found += [(0.1, no_login), (0.3, self._logs_in)]
        elif self.sociable:
            found.append((self.sociable, self._opens))
        return found

    def _is_refused(self) -> Event:
        by = self.dice.choice(get_args(ChannelRefusedBy)) if self.logged_in else ""
        return RequestRefused(what="tcpip-forward", why="no", refused_by=by)

    def _logs_in(self) -> Event:
        """With settings of its own at times: another mode, another image; or with none at all."""
        self.logged_in = True
        reached = self._reached(self.full) if self.full else None
        timers = {"ti": IDLE} if self.timed and not reached else {}
        match self.dice.random():
            case chance if chance < 0.3:
                self.own = self.dice.random() < 0.5
                mode: ExecutionMode = "session" if self.own else "connection"
                self.image = "own"
                return Authenticated(
                    username="ann",
                    method="password",
                    rules=("r",),
                    mode=mode,
                    image="own",
                    reached=reached,
                    timers=timers,
                )
            case chance if chance < 0.4:
                why = ContainerFailed(code="BACKEND_CONFIG_ERROR", why=codes.BACKEND_CONFIG_ERROR.user)
                self.news.append(why)
                return Authenticated(username="ann", method="password", unsettled="config", why="no")
            case chance if chance < 0.5:
                text = codes.MOORAGE_TEMPLATE_REFUSED.user.format(template="gpu")
                self.news.append(ContainerFailed(code="MOORAGE_TEMPLATE_REFUSED", why=text))
                return Authenticated(username="ann", method="password", template="gpu", unsettled="template", why="no")
        return Authenticated(username="ann", method="password", reached=reached, timers=timers)

    def _reached(self, what: Counted) -> LimitReached:
        return LimitReached(what=what, whose="user", may=2)

    def _opens(self) -> Event:
        self.count += 1
        self.sessions.append(f"s{self.count}")
        self.heard[self.sessions[-1]] = []
        return SessionOpened(session=self.sessions[-1])

    def _session_ends(self) -> Event:
        return SessionEnded(session=self.sessions.pop(self.dice.randrange(len(self.sessions))))

    def _lands(self) -> Event:
        if self.ok():
            self.container = "landed"
            return ContainerLanded(container="ct", id="c0")
        self.container = "failed"
        return ContainerFailed(code="DOCKER_IMAGE_PULL_FAILED", why="no")

    def _exits(self) -> Event:
        self.container = "exited"
        return ContainerExited(status=137, oom=self.dice.random() < 0.5)

    def _disconnected(self) -> Event:
        self.gone = True
        return Disconnected(
            why=self.dice.choice(("", "reset by peer")), cause=self.dice.choice(get_args(DisconnectCause))
        )

    def _server(self) -> Event:
        """Drain, terminate, close, in this order, each perhaps more than once."""
        stage = SERVER[self.shutdown]
        self.shutdown = min(self.shutdown + (self.dice.random() < 0.7), 2)
        return stage() if stage is DrainWanted else stage(why="shutting down")

    def take(self, event: Event) -> None:
        """What the sessions of this moment must hear by it."""
        before = self.cell.state
        told = {session: len(heard) for session, heard in self.heard.items()}
        super().take(event)
        if before == "CLOSING" or self.cell.state == "CLOSED":
            return
        ours = [session for session in self.sessions if session in told]
        if isinstance(event, ContainerLanded | ContainerFailed | ContainerExited | ContainerProgressed):
            if not isinstance(event, ContainerProgressed):
                self.news.append(event)
            self.expect(all(self.heard[session][told[session] :] == [event] for session in ours), "not told the news")
        if isinstance(event, LimitNears) and before != "STRANDED":
            self.expect(all(self.heard[session][told[session] :] == [event] for session in ours), "nobody is warned")
        if isinstance(event, TerminateWanted | LimitPassed) and self.cell.state == "DRAINING":
            last = TerminateWanted(why=event.why, by=event.code) if isinstance(event, LimitPassed) else event
            self.expect(all(self.heard[session][told[session] :] == [last] for session in ours), "not told to end")
            self.expect(self.own or last in self.stops, "the container is not told to end")
        if isinstance(event, SessionOpened) and self.news:
            self.expect(len(self.heard[event.session]) == 1, "a late session is told what the others know")
            stranded = self.container == "absent"
            self.expect(not stranded or self.heard[event.session] == self.news, "told another reason")

    def asked(self, effect: Effect) -> None:
        match effect:
            case LandContainer(container="ct", image=self.image):
                self.expect(not self.own and self.container == "absent" and self.logged_in, "a container too many")
                self.expect(self.full is None, "a container for one who has come too much")
                self.container = "landing"
            case CloseConnection(why=why):
                self.expect(not self.closing and why != "", "closed twice, or without a reason")
                self.closing = True
            case AbortConnection():
                self.expect(self.closing, "cut off before it is closed")
                self.aborted = True
            case StartTimer(timer="ti", started=started):
                self.expect(started == IDLE and self.timer == "none", "another timer")
                self.timer = "runs"
            case Tell(to="ti", event=TimerStopped()):
                self.expect(self.timer != "none", "there is no timer to stop")
                self.timer = "stopped"
            case Tell(to="ct", event=event):
                known = self.container != "absent" or isinstance(event, StopWanted)  # one that is not there is stopped
                self.expect(known, "there is no container to tell")
                self.stops.append(event)
            case Tell(to=to, event=event):
                self.expect(to in self.sessions, f"{to} is not there to hear {event}")
                self.heard[to].append(event)
            case _:
                raise Wrong(f"nobody knows {effect}")

    def always(self) -> None:
        if self.cell.state == "DRAINING":
            self.expect(bool(self.sessions), "it drains, and nobody is here")

    def at_end(self) -> None:
        self.expect(self.gone, "ended with the client still there")
        stopped = any(isinstance(event, StopWanted) for event in self.stops)
        self.expect(stopped or self.container == "absent", "the container is left")
        self.expect(self.timer != "runs", "a timer is left")
