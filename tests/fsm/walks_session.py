"""The session machine among a client, its connection, a container, an engine and the clock."""

from collections import deque
from collections.abc import Callable

from fsm.kernel import Kind
from fsm.session_rows import SESSION
from protocol.base import Effect, Event, Size, Tell
from protocol.connection import LandContainer, LimitNears, SessionEnded, TerminateWanted
from protocol.container import (
    ContainerExited,
    ContainerFailed,
    ContainerLanded,
    ContainerProgressed,
    StopWanted,
)
from protocol.session import (
    AttachExec,
    ChannelClosed,
    ChannelOpened,
    CommandForced,
    CreateExec,
    DropChannel,
    DropStream,
    EnvOffered,
    ExecAttached,
    ExecAttachFailed,
    ExecCreated,
    ExecCreateFailed,
    ExecInspected,
    ExecInspectFailed,
    InputEnded,
    InspectExec,
    OddRequest,
    OpenTerminal,
    OrderSignal,
    OutputEnded,
    ProgramExited,
    ProgramSpawned,
    ProgramWanted,
    PtyWanted,
    RefusedBy,
    ResizeProgram,
    SendExit,
    SignalProgram,
    SignalWanted,
    SpawnFailed,
    SpawnProgram,
    TellUser,
    WindowChanged,
)
from protocol.signal import SignalDelivered
from protocol.terminal import SizeWanted, TerminalClosed
from tests.fsm.walks import Choice, World, Wrong

SECONDS = {"command_start": 60.0, "exit_code": 60.0, "close": 10.0, "window": 60.0, "signal": 60.0}
REFUSED_BY = {
    "shell": ("security", "limits"),
    "exec": ("", "security", "dockerrun", "environment", "limits"),
    "subsystem": ("", "security", "environment", "limits"),
}
NEARS = LimitNears(code="MOORAGE_LIMIT_IDLE_NEAR", why="it is nearly over")
# Not why it ended.
LIMIT = "MOORAGE_LIMIT_TOTAL"
ASIDE = ("MOORAGE_TERMINATING", "SECURITY_TTY_REJECTED", "SECURITY_SIGNAL_REJECTED", LIMIT, "MOORAGE_LIMIT_IDLE_NEAR")
SIGNALS = {"TERM": 143, "INT": 130, "KILL": 137}


def spoken_of(told: list[TellUser]) -> list[TellUser]:
    """The sentences that say why there is no ordinary end."""
    return [sentence for sentence in told if sentence.code and sentence.code not in ASIDE]


class SessionWorld(World):
    """`status` is what the program ends with. In session mode the container's life is the program's."""

    kind = SESSION

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.own = self.dice.random() < 0.5
        self.served = self.dice.random() < 0.4
        self.spawned = "not"  # asked for, then runs, then ended; or lost
        self.orders: deque[Effect] = deque()
        self.status = self.dice.choice((0, 1, 7, 137, 143))
        self.oom = self.status == 137 and self.dice.random() < 0.5
        self.container = "absent" if self.own else "landing"  # then landed, and failed or exited
        self.output = "none"  # then open, and ended
        self.runs = False  # an exec
        self.lag = self.dice.choice((0, 0, 2))
        self.client_is = self.dice.choice(("patient", "patient", "fickle", "deaf"))
        self.shutdown = self.dice.choice((0.0, 0.0, 0.05))
        self.has_pty = self.asked_program = self.refused = self.input_ended = False
        self.left = self.closed = self.dropped = self.let_go = False
        self.delivered: list[str] = []
        self.ordered: list[str] = []
        self.landings = self.terminals = self.terminals_closed = self.stops = self.ends = 0
        self.told: list[TellUser] = []
        self.exits: list[SendExit] = []
        self.exited: ProgramExited | None = None  # as the agent told it
        self.seen: int | None = None  # the status as the engine told it
        self.take(
            ChannelOpened(
                session="ss",
                connection="cn",
                container="ct",
                image="busybox",
                mode="session" if self.own else "connection",
                can_size_first=self.dice.random() < 0.5,
                seconds=SECONDS,
            )
        )

    # What may happen.

    def choices(self) -> list[Choice]:
        if self.closed:
            return []
        found: list[Choice] = [(1.0, self._answer)] if self.orders else []
        found += self._of_client() + self._of_container()
        if self.spawned == "asked for":
            found += [(0.8, self._spawns), (0.1 * self.storm, self._link_breaks)]
        if self.spawned == "runs" and not (self.output == "ended" and self.container == "exited"):
            found.append((0.3, self._program_exits))
        if self.output == "open":
            found.append((0.3, self._output_ends))
        if self.ordered:
            found.append((0.5, self._delivered))
        if self.shutdown and not self.fair:
            found += [(self.shutdown, self._terminates), (self.shutdown, lambda: NEARS)]
        return found

    def _terminates(self) -> Event:
        by = self.dice.choice(("", LIMIT))
        return TerminateWanted(why="the server is shutting down", by=by)

    def _of_client(self) -> list[Choice]:
        found: list[Choice] = []
        if self.exits or self.left or self.dropped:
            if self.client_is != "deaf" or self.dropped:
                found.append((1.0, self._closes))
        elif self.client_is == "fickle":
            found.append((0.1, self._leaves))
        if not self.fair:
            found += self._whims()
        if not self.asked_program:
            found.append((0.5, self._program))
        return found

    def _whims(self) -> list[Choice]:
        """What a client may send at any time."""
        whims: list[Callable[[], Event]] = [
            lambda: OddRequest(what="x11-req", why="not served", refused_by=self._policy()),
            lambda: SignalWanted(signal=self.dice.choice(tuple(SIGNALS)), refused_by=self._policy()),
        ]
        if self.asked_program:
            whims.append(lambda: ProgramWanted(program="shell", admitted=False, why="there is a program already"))
        else:
            whims.append(lambda: EnvOffered(name="LANG", taken=self.dice.random() < 0.5, refused_by=self._policy()))
            whims.append(lambda: CommandForced(origin="key"))
        if self.has_pty:
            whims.append(lambda: WindowChanged(size=Size(columns=self.dice.randrange(3), rows=50)))
        elif not self.asked_program:
            whims.append(self._pty)
        if not self.input_ended:
            whims.append(self._input_ends)
        return [(0.12, whim) for whim in whims]

    def _of_container(self) -> list[Choice]:
        match self.container:
            case "landing":
                found: list[Choice] = [(0.2, lambda: ContainerProgressed(line="1 of 2 MB")), (0.4, self._lands)]
                if self.own and not self.served and self.output == "none":
                    found.append(
                        (0.05, self._output_ends)
                    )  # it was attached, ran and ended before we hear that it runs
                elif not self.own:
                    found.append((0.05 * self.storm, self._exits))
                return found
            case "landed":
                if self.spawned == "lost":
                    return [(0.5, self._exits)]
                own = self.own and not self.served
                quiet = not own and self.fair
                often = 0.3 if own and self.output == "ended" else 0.1 if own else 0.1 * self.storm
                return [] if quiet else [(often, self._exits)]
        return []

    def _policy(self) -> RefusedBy:
        return "security" if self.dice.random() < 0.2 else ""

    def _pty(self) -> Event:
        by = self._policy()
        self.has_pty = not by
        return PtyWanted(term="xterm", size=Size(columns=self.dice.randrange(2) * 80, rows=24), refused_by=by)

    def _input_ends(self) -> Event:
        self.input_ended = True
        return InputEnded()

    def _program(self) -> Event:
        self.asked_program = True
        self.refused = self.dice.random() < 0.1
        program = self.dice.choice(tuple(REFUSED_BY))
        why = "a NUL" if self.refused else ""
        by = self.dice.choice(REFUSED_BY[program]) if self.refused else ""
        return ProgramWanted(program=program, admitted=not self.refused, why=why, refused_by=by)

    def _leaves(self) -> Event:
        self.left = True
        return self._closes()

    def _closes(self) -> Event:
        self.closed = True
        return ChannelClosed()

    def _lands(self) -> Event:
        if not self.ok():
            self.container = "failed"
            return ContainerFailed(code="DOCKER_CONTAINER_START_FAILED", why="no")
        self.container = "landed"
        if self.own and not self.served and self.output == "none":
            self.output = "open"  # it was attached before it started
        return ContainerLanded(container="ct", id="c0", served=self.served)

    def _exits(self) -> Event:
        self.container = "exited"
        if self.own and not self.served and self.delivered and self.dice.random() < 0.5:
            self.status = SIGNALS[self.delivered[-1]]
        return ContainerExited(status=self.status, oom=self.oom and self.status == 137)

    def _output_ends(self) -> Event:
        self.output = "ended"
        self.runs = False
        if self.served:
            return OutputEnded(error="the link is lost" if self.container == "exited" else "", bytes_out=3)
        return OutputEnded(error="" if self.ok() or self.ok() else "reset by peer", bytes_out=3)

    def _spawns(self) -> Event:
        if not self.ok():
            self.spawned = "ended"
            return SpawnFailed(fault="not_found", why="no such file", status=127)
        self.spawned, self.output = "runs", "open"
        return ProgramSpawned(pid=12)

    def _link_breaks(self) -> Event:
        self.spawned, self.output = "lost", "ended"
        return OutputEnded(error="the link is lost")

    def _program_exits(self) -> Event:
        self.spawned = "ended"
        by_signal = self.dice.random() < 0.3
        self.exited = ProgramExited(signal="TERM") if by_signal else ProgramExited(status=self.status)
        return self.exited

    def _delivered(self) -> Event:
        self.delivered.append(self.ordered.pop(0))
        return SignalDelivered(signal=self.delivered[-1])

    def _answer(self) -> Event:
        effect, well = self.orders.popleft(), self.ok() and self.container != "exited"
        match effect:
            case CreateExec():
                return ExecCreated(exec="e0") if well else self.fault(ExecCreateFailed)
            case AttachExec() if self.output == "ended":
                return ExecAttached()  # it has ended before we say that it began
            case AttachExec():
                started = well or self.dice.random() < 0.3  # the answer may be lost
                if started and not self.let_go:
                    self.output, self.runs = "open", True
                if well and self.output == "open" and self.dice.random() < 0.2:
                    self.orders.appendleft(effect)
                    return self._output_ends()
                return ExecAttached() if well else self.fault(ExecAttachFailed)
            case InspectExec():
                known = self.container == "exited" and self.dice.random() < 0.3  # for a moment it still is
                if not well and not known:
                    return self.fault(ExecInspectFailed)
                self.lag -= 1
                ended = self.lag < 0 and not self.runs
                self.seen = self.status if ended else None
                return ExecInspected(status=self.seen, oom=self.oom and ended, dice=self.dice.random())
        raise Wrong(f"nobody knows {effect}")

    # What is asked for.

    def asked(self, effect: Effect) -> None:
        match effect:
            case CreateExec(container="c0", tty=tty) | AttachExec(exec="e0", tty=tty):
                self.expect(not self.own and not self.served, "an exec in session mode, or beside the agent")
                self.expect(tty == self.has_pty, "a terminal that nobody asked for, or none")
                self.orders.append(effect)
            case InspectExec(exec="e0"):
                self.orders.append(effect)
            case SpawnProgram(container="ct", tty=tty):
                self.expect(self.served and self.spawned == "not" and tty == self.has_pty, "not to be spawned so")
                self.spawned = "asked for"
            case SignalProgram(signal=name):
                self.expect(self.spawned != "not" and name in SIGNALS, "a signal before there is a program")
            case ResizeProgram(size=size):
                self.expect(self.has_pty and self.spawned != "not" and size.columns > 0, "a size for no terminal")
            case TellUser():
                self.expect(not self.exits, f"said after the end: {effect}")
                self.told.append(effect)
            case SendExit():
                self.exits.append(effect)
            case DropChannel():
                self.dropped = True
            case DropStream():
                self.let_go = True
            case LandContainer(container="ct", tty=tty):
                self.expect(self.own and tty == self.has_pty, "a container that is not wanted so")
                self.landings, self.container = self.landings + 1, "landing"
            case OpenTerminal(terminal="ss-tty", opened=opened):
                self.expect(self.has_pty and opened.id == ("c0" if self.own else "e0"), "another terminal")
                self.terminals += 1
            case OrderSignal(ordered=ordered):
                self.expect(self.own and ordered.id == "c0", "a signal to somebody else")
                self.ordered.append(ordered.signal)
            case Tell(to=to, event=event):
                self._tell(to, event)
            case _:
                raise Wrong(f"nobody knows {effect}")

    def _tell(self, to: str, event: Event) -> None:
        match to, event:
            case "cn", SessionEnded(session="ss"):
                self.ends += 1
            case "ss-tty", TerminalClosed():
                self.terminals_closed += 1
            case "ss-tty", SizeWanted(size=size):
                open_ = self.terminals > self.terminals_closed and size.columns > 0
                self.expect(open_, "a size for no terminal, or no size")
            case "ct", StopWanted():
                self.stops += 1
            case "ct", TerminateWanted():
                self.expect(self.landings == 1, "nothing is there to end")
            case _:
                raise Wrong(f"{to} does not know {event}")

    # What must hold.

    def always(self) -> None:
        self.expect(len(self.exits) <= 1, "two ends")
        self.expect(len(self.orders) <= 1 or self.cell.state == "CLOSING", "two orders at once")

    def at_end(self) -> None:
        self.expect(self.ends == 1, "the connection is told once")
        self.expect(self.landings <= 1, "two containers")
        self.expect(self.terminals == self.terminals_closed <= 1, "a terminal is left")
        self.expect(self.let_go, "the stream is held")
        self.expect(self.stops > 0 or not self.landings, "its container is left")
        self.expect(bool(self.exits) or self.left, "the client is not told how it ended")
        if self.exits:
            self._judge(self.exits[0])

    def _judge(self, exit_: SendExit) -> None:
        """The program's own end, or a sentence with a code why not."""
        own = self.seen is not None and not self.own
        turned_away = exit_.status == 125 and any(sentence.code == LIMIT for sentence in self.told)
        if turned_away:
            return
        if self.exited is not None and not spoken_of(self.told):
            told = (self.exited.status, self.exited.signal)
            self.expect((exit_.status, exit_.signal) == told, "another end than the agent told")
            return
        if exit_.signal:
            by_us = exit_.signal in self.delivered and SIGNALS[exit_.signal] == self.status
            self.expect(self.own and (by_us or (self.oom and exit_.signal == "KILL")), f"not by {exit_.signal}")
        elif self.own and not self.served and self.container == "exited":
            own = exit_.status == self.status
        spoken = spoken_of(self.told)
        self.expect(own or bool(exit_.signal) or bool(spoken), "it ends without a word")
        self.expect(not spoken or exit_.status in (125, 127, 255, 137), "a sentence, and an end as if all were well")
        if own and not spoken:
            self.expect(exit_.status == self.status, "another status than the program's")
