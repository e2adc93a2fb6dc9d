"""The timer machine beside a connection in which something moves, or nothing does, until it ends."""

from fsm.kernel import Kind
from fsm.timer import TIMER
from protocol.base import Effect, Event, Tell
from protocol.connection import CloseWanted, LimitNears, LimitPassed
from protocol.timer import IdleMeasured, MeasureIdle, TimerStarted, TimerStopped
from tests.fsm.walks import Choice, World, Wrong

ALLOWED_S = 600.0


class TimerWorld(World):
    """`told` is what the connection has heard. Time is over when the walk says so; it is not counted."""

    kind = TIMER

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.limit = self.dice.choice(("idle", "total"))
        self.warning_s = self.dice.choice((0.0, 60.0, 300.0))
        self.busy = self.dice.choice((0.0, 0.5, 0.9))
        self.ends = self.dice.choice((0.0, 0.02, 0.1))
        self.stopped = self.asked_for_idle = False
        self.told: list[Event] = []
        self.take(
            TimerStarted(
                connection="cn",
                limit=self.limit,
                allowed_s=ALLOWED_S,
                warns=self.warning_s > 0,
                seconds={"warn": ALLOWED_S - self.warning_s, "strike": self.warning_s, "kill": 5.0},
            )
        )

    def choices(self) -> list[Choice]:
        found: list[Choice] = [(self.ends, self._stops)] if self.ends else []
        if self.asked_for_idle:
            found.append((1.0, self._measured))
        if self.due:
            found.append((0.5, self._passes))
        return found

    def _passes(self) -> Event:
        """Whichever is armed; one that has lapsed may fire late."""
        return self.due.pop(self.dice.choice(sorted(self.due)))

    def _stops(self) -> Event:
        self.stopped = True
        return TimerStopped()

    def _measured(self) -> Event:
        self.asked_for_idle = False
        moved = not self.fair and self.dice.random() < self.busy
        quiet_s = ALLOWED_S - self.warning_s
        self.expect(self.limit == "idle", "nobody asks about the whole time")
        if moved and any(isinstance(event, LimitNears) for event in self.told):
            self.told.clear()
        return IdleMeasured(idle_s=self.dice.random() * (quiet_s - 0.1) if moved else quiet_s)

    def asked(self, effect: Effect) -> None:
        match effect:
            case MeasureIdle():
                self.asked_for_idle = True
            case Tell(to="cn", event=LimitNears(code=code, why=why)):
                self.expect(self.warning_s > 0 and not self.told, "nobody is to be warned, or everybody is already")
                self._told(effect.event, code.removesuffix("_NEAR"), f"{self.warning_s:g} s", why)
            case Tell(to="cn", event=LimitPassed(code=code, why=why)):
                warned = [event for event in self.told if isinstance(event, LimitNears)]
                self.expect(len(warned) == (self.warning_s > 0), "it is over without a warning")
                self._told(effect.event, code, f"{ALLOWED_S:g} s", why)
            case Tell(to="cn", event=CloseWanted(why=why)):
                self.expect(isinstance(self.told[-1], LimitPassed), "closed before it was over")
                self._told(effect.event, why.rpartition("(")[2].rstrip(")"), f"{ALLOWED_S:g} s", why)
            case _:
                raise Wrong(f"nobody knows {effect}")

    def _told(self, event: Event, code: str, length: str, why: str) -> None:
        self.expect(code == f"MOORAGE_LIMIT_{self.limit.upper()}", "another limit")
        self.expect(length in why, "it does not say how long")
        self.told.append(event)

    def always(self) -> None:
        armed = {"WAITING": "warn", "WARNED": "strike", "ENDING": "kill"}.get(self.cell.state)
        self.expect(set(self.cell.armed) == ({armed} if armed else set()), f"{self.cell.armed} in {self.cell.state}")

    def at_end(self) -> None:
        self.expect(self.stopped or isinstance(self.told[-1], CloseWanted), "it has gone, and nobody knows why")
