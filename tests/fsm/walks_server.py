"""What happens around the daemon's own machine: connections that end or do not, signals, reloads, and successors."""

from collections import deque

from fsm.kernel import Kind, Moved
from fsm.server import SERVER, ServerCell
from protocol.base import Effect, Event
from protocol.server import (
    AdoptSettings,
    AllGone,
    AnswerReload,
    CloseConnections,
    DrainConnections,
    EndAttempt,
    Listening,
    PassSockets,
    ReadSettings,
    ReloadWanted,
    SettingsRead,
    SettingsRefused,
    ShutdownWanted,
    StartSuccessor,
    StopAccepting,
    SuccessorCame,
    SuccessorFailed,
    SuccessorReady,
    TerminateConnections,
    UpgradeWanted,
)
from tests.fsm.walks import Choice, World

ATTEMPTS_MAX = 12


class Successor:
    """One attempt at an upgrade, seen from outside; what is on its way to the machine comes, over or not."""

    def __init__(self, sent_for: bool) -> None:
        self.sent_for = sent_for
        self.ended: str | None = None  # the reason, once it is over
        self.started = self.came = self.lent = self.ready = self.failed = False


class ServerWorld(World):
    """A daemon with connections that end, or do not."""

    kind = SERVER
    ORDER = (StopAccepting, DrainConnections, TerminateConnections, CloseConnections)

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.haste = self.haste or 0.2
        self.done: list[type[Effect]] = []
        self.stubborn = self.dice.random() < 0.5
        self.gone = False
        self.attempts: dict[str, Successor] = {}
        self.reloads, self.reading = 0, deque[int]()
        self.adopted, self.answered = set[int](), set[int]()
        self.rushed = self.dice.random() < 0.3  # signals come early
        if self.dice.random() < 0.95:
            seconds = {"grace": 20.0, "kill": 5.0, "gone": 20.0, "upgrade": 60.0}
            self.take(Listening(listen=("127.0.0.1:22",), seconds=seconds))

    def choices(self) -> list[Choice]:
        if self.cell.state == "STARTING":
            return [(1.0, lambda: ShutdownWanted(why="TERM"))]
        found: list[Choice] = [(0.3 if self.fair or self.rushed else 0.03, lambda: ShutdownWanted(why="TERM"))]
        if len(self.reading) < 3 and not self.fair:
            found.append((0.15, self._reload_wanted))
        if self.reading:
            found.append((0.3, self._read))
        if self.done and not self.stubborn:
            found.append((0.3 if self.fair else 0.05, self._all_gone))
        if len(self.attempts) < ATTEMPTS_MAX and not self.fair:
            found += [(0.2, self._somebody_wishes), (0.1, self._somebody_comes)]
        for id, one in self.attempts.items():
            found += self._next_of(id, one)
        return found

    def _next_of(self, id: str, one: Successor) -> list[Choice]:
        """A process that was told that it is over says no more, but for what was under way."""
        weight = 0.3 if one.ended is None else 0.15
        found: list[Choice] = []
        if one.started and not one.came:
            found.append((weight, lambda: self._comes(id)))
        if one.lent and not (one.ready or one.failed):
            found.append((weight, lambda: self._is_ready(id)))
        if (one.started or one.lent) and not one.failed and one.ended != "":
            found.append((weight * (0.3 + self.storm), lambda: self._fails(id)))
        return found

    def _reload_wanted(self) -> Event:
        self.reloads += 1
        return ReloadWanted(attempt=self.reloads, asked_by="SIGHUP")

    def _read(self) -> Event:
        attempt = self.reading.popleft()
        if self.dice.random() < 0.4:
            return SettingsRefused(attempt=attempt, fault="invalid", why="no host key")
        return SettingsRead(attempt=attempt, changes=(), seconds={"grace": 1.0, "kill": 1.0})

    def _new(self, sent_for: bool) -> str:
        id = f"b.{len(self.attempts) + 1}"
        self.attempts[id] = Successor(sent_for)
        return id

    def _somebody_wishes(self) -> Event:
        return UpgradeWanted(attempt=self._new(True), argv=("moorage", "serve"))

    def _somebody_comes(self) -> Event:
        return self._comes(self._new(False))

    def _comes(self, id: str) -> Event:
        self.attempts[id].came = True
        return SuccessorCame(attempt=id, sent_for=self.attempts[id].sent_for, pid=7, version="2")

    def _is_ready(self, id: str) -> Event:
        self.attempts[id].ready = True
        return SuccessorReady(attempt=id, pid=7)

    def _fails(self, id: str) -> Event:
        self.attempts[id].failed = True
        return SuccessorFailed(attempt=id, why="no engine")

    def _all_gone(self) -> Event:
        self.gone = True
        return AllGone()

    def asked(self, effect: Effect) -> None:
        match effect:
            case ReadSettings(attempt=reload):
                self.reading.append(reload)
            case AdoptSettings(attempt=reload):
                self.expect(not self.done, "nothing is adopted by a server that is ending")
                self.adopted.add(reload)
            case AnswerReload(attempt=reload, why=refusal):
                self.expect(reload not in self.answered, "a reload is answered once")
                self.expect((reload in self.adopted) != bool(refusal), "what was adopted was not refused")
                self.answered.add(reload)
            case StartSuccessor(attempt=id):
                one = self.attempts[id]
                self.expect(one.sent_for and not one.started, f"{id} is started without a wish, or twice")
                one.started = True
            case PassSockets(attempt=id):
                one = self.attempts[id]
                self.expect(one.came and not one.lent and one.ended is None, f"{id} gets sockets for nothing")
                self.expect(not self.done, "sockets of one who does not accept any more")
                one.lent = True
            case EndAttempt(attempt=id, why=why):
                one = self.attempts[id]
                # A process of an attempt that is over is told so when it comes all the same.
                self.expect(one.ended is None or (one.came and not one.lent), f"{id} is ended twice")
                one.ended = why
                if not why:
                    self.expect(one.ready, f"{id} is to serve and has not said that it can")
                    self.expect(self.done == [StopAccepting], "two accept, or nobody does")
            case _:
                self.done.append(type(effect))
                self.expect(tuple(self.done) == self.ORDER[: len(self.done)], f"out of order: {self.done}")

    def always(self) -> None:
        """Every attempt is under way or has been answered, and one at most is under way."""
        assert isinstance(self.cell, ServerCell)
        under_way = [id for id, one in self.attempts.items() if one.ended is None]
        expected = [self.cell.attempt] if self.cell.state == "UPGRADING" else []
        self.expect(under_way == expected, f"under way: {under_way}, not {expected}")
        stopped = self.done and self.cell.state in ("SERVING", "UPGRADING")
        self.expect(not stopped, "it serves and does not accept")
        succeeded = [id for id, one in self.attempts.items() if one.ended == ""]
        self.expect(len(succeeded) <= 1, "two have taken its place")
        if self.cell.state == "RETIRING":
            self.expect(self.done == [StopAccepting] and len(succeeded) == 1, "it retires without a successor")
        answer = self.trace[-1][1]
        if isinstance(answer, Moved) and answer.source == "UPGRADING" and answer.target == "SERVING":
            self.expect(bool(self.attempts[self.cell.attempt].ended), "nobody was told why it failed")

    def at_end(self) -> None:
        unread = set(range(1, self.reloads + 1)) - self.answered
        self.expect(unread == set(self.reading), "a reload was never answered")
        hard = self.done == list(self.ORDER)
        self.expect(self.gone or hard or not self.done, "given up before all was tried")
