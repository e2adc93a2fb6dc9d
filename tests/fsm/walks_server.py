"""The daemon's own walks: it is asked to end, hurried, and asked for reloads at any time."""

from collections import deque

from fsm.kernel import Kind
from fsm.server import SERVER
from protocol.base import Effect, Event
from protocol.server import (
    AdoptSettings,
    AllGone,
    AnswerReload,
    CloseConnections,
    DrainConnections,
    Listening,
    ReadSettings,
    ReloadWanted,
    SettingsRead,
    SettingsRefused,
    ShutdownWanted,
    StopAccepting,
    TerminateConnections,
)
from tests.fsm.walks import Choice, World


class ServerWorld(World):
    """A daemon with connections that end, or do not."""

    kind = SERVER
    ORDER = (StopAccepting, DrainConnections, TerminateConnections, CloseConnections)

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.haste = self.haste or 0.2
        self.done: list[type[Effect]] = []
        self.reloads, self.reading = 0, deque[int]()
        self.adopted, self.answered = set[int](), set[int]()
        self.stubborn = self.dice.random() < 0.5
        self.gone = False
        if self.dice.random() < 0.9:
            seconds = {"grace": 20.0, "kill": 5.0, "gone": 20.0}
            self.take(Listening(listen=("127.0.0.1:22",), seconds=seconds))

    def choices(self) -> list[Choice]:
        found: list[Choice] = [(0.3, lambda: ShutdownWanted(why="TERM"))]
        if self.cell.state != "STARTING" and len(self.reading) < 3:
            found.append((0.3, self._reload_wanted))
        if self.reading:
            found.append((0.5, self._read))
        if self.done and not self.stubborn:
            found.append((0.3, self._all_gone))
        return found

    def _all_gone(self) -> Event:
        self.gone = True
        return AllGone()

    def _reload_wanted(self) -> Event:
        self.reloads += 1
        return ReloadWanted(attempt=self.reloads, asked_by="SIGHUP")

    def _read(self) -> Event:
        attempt = self.reading.popleft()
        if self.dice.random() < 0.4:
            return SettingsRefused(attempt=attempt, fault="invalid", why="no host key")
        return SettingsRead(attempt=attempt, changes=(), seconds={"grace": 1.0, "kill": 1.0})

    def asked(self, effect: Effect) -> None:
        match effect:
            case ReadSettings(attempt=attempt):
                self.reading.append(attempt)
            case AdoptSettings(attempt=attempt):
                self.expect(not self.done, "nothing is adopted by a server that is ending")
                self.adopted.add(attempt)
            case AnswerReload(attempt=attempt, why=why):
                self.expect(attempt not in self.answered, "a reload is answered once")
                self.expect((attempt in self.adopted) != bool(why), "what was adopted was not refused")
                self.answered.add(attempt)
            case _:
                self._steps_to_the_end(effect)

    def _steps_to_the_end(self, effect: Effect) -> None:
        self.done.append(type(effect))
        self.expect(tuple(self.done) == self.ORDER[: len(self.done)], f"out of order: {self.done}")

    def at_end(self) -> None:
        unread = set(range(1, self.reloads + 1)) - self.answered
        self.expect(unread == set(self.reading), "a reload was never answered")
        hard = self.done == list(self.ORDER)
        self.expect(self.gone or hard or not self.done, "given up before all was tried")
