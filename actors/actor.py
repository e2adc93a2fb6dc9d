"""One mailbox, one cell: take an event, step, write it down, hand out what was asked for."""

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import trio

from actors.ports import OutsideFault
from actors.recorder import Ledger
from fsm.kernel import Kind, Moved, Refused
from protocol import codes
from protocol.base import ArmDeadline, DeadlinePassed, Effect, Event, Fault, Tell

if TYPE_CHECKING:
    from actors.world import World

PEER_EVENTS_MAX = 64
NOT_LOGGED = ("seconds", "dice", "event", "timers")


class Alarm:
    """One deadline of one actor; without an actor it is off. `due`: seconds on trio's clock."""

    __slots__ = ("actor", "arm", "due", "name")

    def __init__(self, due: float, actor: "Actor", name: str, arm: int) -> None:
        self.due, self.name, self.arm = due, name, arm
        self.actor: Actor | None = actor


class Actor:
    """An actor of any kind. Subclasses say what they do for each effect.

    `queued` effects are worked off one by one, in the order asked, each with exactly one outcome, and are never
    cancelled; `beside` effects run for as long as they take, each in a task of its own, until `drop` or the outcome.
    All others are done at once by `perform`. `about` goes into each of its log lines.
    """

    kind: ClassVar[Kind]
    queued: ClassVar[frozenset[type[Effect]]] = frozenset()
    beside: ClassVar[frozenset[type[Effect]]] = frozenset()
    outcomes: ClassVar[dict[type[Effect], tuple[type[Event], type[Fault]]]] = {}

    def __init__(self, world: "World", id: str, ledger: Ledger, about: dict[str, Any]) -> None:
        self.world, self.id, self.ledger, self.about = world, id, ledger, about
        self.cell = self.kind.cell()
        # Unbounded by itself: what a peer can repeat is counted in `offer`, all else is one outcome per order.
        self._mailbox: list[tuple[Event, bool]] = []
        self._peer_events = 0
        self._born = trio.current_time()
        self._alarms: dict[str, Alarm] = {}  # deadline name -> its last arming's
        self._is_over = False
        self._todo: list[Effect] = []
        self._hand_is_busy = False
        self._scopes: dict[type[Effect], trio.CancelScope] = {}

    def post(self, event: Event) -> None:
        """What must be heard: outcomes, disconnects, wishes of our own parts. Never refused, never waits."""
        self._put(event, False)

    def offer(self, event: Event) -> bool:
        """What a peer can send as often as it likes. False: 64 are waiting already, and this one is not taken."""
        if self._peer_events >= PEER_EVENTS_MAX:
            return False
        self._peer_events += 1
        self._put(event, True)
        return True

    def _put(self, event: Event, from_peer: bool) -> None:
        self._mailbox.append((event, from_peer))
        self.world.has_event(self)

    @property
    def waiting(self) -> int:
        """Events in its mailbox."""
        return len(self._mailbox)

    @property
    def ended(self) -> bool:
        return self.cell.state in self.kind.final

    def statistics(self) -> dict[str, Any]:
        """State, seconds of age and until each deadline, and queues, for people and tests."""
        now = trio.current_time()
        return {
            **self.about,
            "actor": self.id,
            "machine": self.kind.name,
            "state": self.cell.state,
            "age_s": round(now - self._born, 3),
            "deadlines": {k: round(a.due - now, 3) for k, a in self._alarms.items() if k in self.cell.armed},
            "mailbox": len(self._mailbox),
            "orders": len(self._todo),
        }

    def take_event(self) -> None:
        """Step with what has waited longest. An error of ours ends this actor only; the world cleans up behind it."""
        if self._is_over or not self._mailbox:
            return
        event, from_peer = self._mailbox.pop(0)
        self._peer_events -= from_peer
        self._take(event)

    def ring(self, alarm: Alarm) -> None:
        """A deadline has passed. What waits was late for it."""
        del self._alarms[alarm.name]
        self._take(DeadlinePassed(name=alarm.name, arm=alarm.arm))

    def _take(self, event: Event) -> None:
        try:
            self._step(event)
        except Exception as error:
            self.world.crashed(self, error)
            self.end()
        else:
            if self.ended:
                self.end()

    def end(self) -> None:
        """It takes no more steps, for whatever reason; called once."""
        self._is_over = True
        for alarm in self._alarms.values():
            alarm.actor = None
        self.world.left(self)

    def unread(self) -> list[Event]:
        """What was posted and never taken, once the actor has ended."""
        events, self._mailbox = self._mailbox, []
        return [event for event, _ in events]

    def perform(self, effect: Effect) -> None:
        """Do at once what neither waits nor fails."""
        raise AssertionError(f"{self.kind.name} has no hand for {type(effect).__name__}")

    def at_once(self, effect: Effect) -> Event | None:
        """The outcome of a `beside` effect that neither waits nor fails this time; None: it takes a task of its own."""
        return None

    async def work(self, effect: Effect) -> Event:
        """Do what takes time, and say how it went. Raises `OutsideFault`."""
        raise AssertionError(f"{self.kind.name} has no hand for {type(effect).__name__}")

    def drop(self, effect: type[Effect]) -> None:
        """Let go of a `beside` effect: there will be no outcome."""
        if scope := self._scopes.pop(effect, None):
            scope.cancel()

    def _step(self, event: Event) -> None:
        answer = self.kind.step(self.cell, event)
        self.ledger.write(self.id, self.kind.name, event, answer)
        if isinstance(answer, Refused):
            self.world.say(codes.MOORAGE_REFUSED, {**self.about, "actor": self.id, **msgspec.to_builtins(answer)})
        if not isinstance(answer, Moved):
            return
        self._say(answer.row, event)
        for effect in answer.effects:
            self._hand_out(effect)

    def _say(self, row: str, event: Event) -> None:
        says = self.kind.row[row].says
        if not says:
            return
        fields = {k: v for k in event.__struct_fields__ if k not in NOT_LOGGED and (v := getattr(event, k)) is not None}
        details = {**msgspec.to_builtins(fields), **self.about, "row": row}
        for code in says:
            self.world.say(code, details)

    def _hand_out(self, effect: Effect) -> None:
        kind = type(effect)
        if isinstance(effect, ArmDeadline):
            self._arm(effect)
        elif isinstance(effect, Tell):
            self.world.post(effect.to, effect.event)
        elif kind in self.queued:
            self._todo.append(effect)
            if not self._hand_is_busy:
                self._hand_is_busy = True
                self.world.start(self._hand)
        elif kind in self.beside:
            if (outcome := self.at_once(effect)) is not None:
                self.post(outcome)
                return
            self._scopes[kind] = scope = trio.CancelScope()
            self.world.start_after_steps(scope, self._aside, effect, scope)
        else:
            self.perform(effect)

    def _arm(self, effect: ArmDeadline) -> None:
        if former := self._alarms.get(effect.name):
            former.actor = None
        alarm = Alarm(trio.current_time() + effect.seconds, self, effect.name, effect.arm)
        self._alarms[effect.name] = alarm
        self.world.set_alarm(alarm)

    async def _hand(self) -> None:
        """Works the orders off in their order. It is there only while there are some."""
        try:
            while self._todo:
                with trio.CancelScope(shield=True):
                    self.post(await self._outcome(self._todo.pop(0)))
        except Exception as error:
            self.world.crashed(self, error)
        finally:
            self._hand_is_busy = False

    async def _aside(self, effect: Effect, scope: trio.CancelScope) -> None:
        try:
            with scope:
                self.post(await self._outcome(effect))
        except Exception as error:
            self.world.crashed(self, error)

    async def _outcome(self, effect: Effect) -> Event:
        try:
            return await self.work(effect)
        except OutsideFault as fault:
            return self.failed(effect, fault)

    def failed(self, effect: Effect, fault: OutsideFault) -> Event:
        """The bad outcome of an order."""
        return self.outcomes[type(effect)][1](fault=fault.fault, why=fault.why, dice=self.world.roll())
