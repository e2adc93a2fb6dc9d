"""Where the actors of one daemon live: found by id, told what others tell them, cleaned up behind when they end.

They have no tasks of their own. One task of the world's rings their deadlines and lets those step that have events,
unless the end of a turn of the loop has done it already (turn.py).
"""

import traceback
from collections import deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count
from random import Random, SystemRandom
from typing import Any

import trio

from actors.actor import Actor, Alarm
from actors.bell import Bell
from actors.bridge import this_turn
from actors.ports import Agents, Engine
from actors.recorder import Recorder
from protocol import codes
from protocol.base import Event
from protocol.codes import Code

STEPS_MAX = 256  # in one go: then others have a turn
NOT_TRIED = "no part of the file has allowed the guest agent, so it was not brought"
Say = Callable[[Code, Mapping[str, Any]], None]


class World:
    """What every actor is given. `nursery` is the server's own: no actor's task is a child of another's.

    `instance` outlives restarts, `boot` is this process; both go into the labels of each container. `dice` is seeded
    in simulations. Without `agents` programs are the engine's execs, or their container's own.
    """

    def __init__(
        self,
        engine: Engine,
        nursery: trio.Nursery,
        recorder: Recorder,
        say: Say,
        instance: str,
        boot: str,
        dice: Random | None = None,
        agents: Agents | None = None,
    ) -> None:
        self.engine, self.recorder, self.say = engine, recorder, say
        self.instance, self.boot = instance, boot
        self.agents, self.why_no_agents = agents, NOT_TRIED
        self.actors: dict[str, Actor] = {}
        self.on_empty: Callable[[], None] = lambda: None
        self.on_crash: Callable[[Actor], None] = lambda actor: None
        self.on_doubt: Callable[[], None] = lambda: None  # there may be a container soon that nobody has
        self.on_left: Callable[[Actor], None] = lambda actor: None
        self._nursery = nursery
        self._dice = dice or SystemRandom()
        self._turn = this_turn()
        self._hosted: dict[Actor, None] = {}  # who takes steps, in the order of arrival
        self._ready: deque[Actor] = deque()  # once for each event
        self._tasks: deque[tuple[trio.CancelScope, Callable[..., Any], tuple[Any, ...]]] = deque()  # to be started
        self._alarms: list[tuple[float, int, Alarm]] = []  # a heap
        self._alarm_numbers = count()
        self._bell = Bell(self._wake)  # for the first of them
        self._waiting: trio.lowlevel.Task | None = None
        self._runs = False

    def roll(self) -> float:
        """A number in [0, 1) for an event that needs one."""
        return round(self._dice.random(), 4)

    def fresh_id(self) -> str:
        """32 hex digits, as connection ids are in logs and labels."""
        return f"{self._dice.getrandbits(128):032x}"

    def start(self, fn: Callable[..., Any], *args: Any) -> None:
        """Run a task that outlives whoever asked for it."""
        self._nursery.start_soon(fn, *args)

    def start_after_steps(self, scope: trio.CancelScope, fn: Callable[..., Any], *args: Any) -> None:
        """Run a task when all have taken their steps, unless one of those has cancelled its scope."""
        self._tasks.append((scope, fn, args))

    def spawn(self, actor: Actor, first: Event) -> None:
        """Bring an actor to life with its first event."""
        assert actor.id not in self.actors, f"{actor.id} lives already"
        self.actors[actor.id] = actor
        actor.ledger.enlist(actor.id)
        self.host(actor)
        actor.post(first)

    def host(self, actor: Actor) -> None:
        """Let it take its steps from now on."""
        self._hosted[actor] = None
        if not self._runs:
            self._runs = True
            self.start(self._run)

    def post(self, to: str, event: Event) -> None:
        """Tell an actor. One that has ended hears nothing, and that is no error."""
        if actor := self.actors.get(to):
            actor.post(event)

    def alias(self, id: str, actor: Actor) -> None:
        """Another name by which it is found."""
        assert id not in self.actors, f"{id} lives already"
        self.actors[id] = actor

    def left(self, actor: Actor) -> None:
        """It has ended, in order or not."""
        self._hosted.pop(actor, None)
        if not self._hosted:
            self._wake()
        for id in [id for id, other in self.actors.items() if other is actor]:
            del self.actors[id]
        self.on_left(actor)
        why = "" if actor.ended else f"{actor.id} did not end in order"
        actor.ledger.leave(actor.id, why)
        if not self.actors:
            self.on_empty()

    def has_event(self, actor: Actor) -> None:
        """There is one more in its mailbox."""
        self._ready.append(actor)
        if not self._turn.is_on and not self._turn.want():
            self._wake()

    def set_alarm(self, alarm: Alarm) -> None:
        """Rings when it is due, if its actor has not turned it off by then."""
        heappush(self._alarms, (alarm.due, next(self._alarm_numbers), alarm))
        self._bell.by(alarm.due)

    async def _run(self) -> None:
        """For as long as there is anybody."""
        self._turn.join(self._take_steps)
        try:
            while self._hosted:
                with self._turn:
                    self._ring()
                if self._ready:
                    await trio.lowlevel.checkpoint()
                elif self._hosted:
                    await self._wait()
        finally:
            self._turn.leave(self._take_steps)
            self._bell.stop()
            self._runs = False
            for actor in tuple(self._hosted):  # cancelled
                actor.end()

    async def _wait(self) -> None:
        """Until there is an event that no turn comes for, or a deadline is due."""
        if self._alarms:
            self._bell.by(self._alarms[0][0])
        self._waiting = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)

    def _stop_waiting(self, _: object) -> trio.lowlevel.Abort:
        self._waiting = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _wake(self) -> None:
        if self._waiting is not None:
            trio.lowlevel.reschedule(self._waiting)
            self._waiting = None

    def _ring(self) -> None:
        now = trio.current_time()
        while self._alarms and self._alarms[0][0] <= now:
            _, _, alarm = heappop(self._alarms)
            if alarm.actor is not None:
                alarm.actor.ring(alarm)

    def _take_steps(self) -> None:
        for _ in range(STEPS_MAX):
            if not self._ready:
                break
            self._ready.popleft().take_event()
        else:
            self._wake()
        while self._tasks:
            scope, fn, args = self._tasks.popleft()
            if not scope.cancel_called:
                self.start(fn, *args)

    def crashed(self, actor: Actor, error: Exception) -> None:
        """An error of ours. It is logged with the last steps and ends that connection, nobody else's."""
        tail = actor.ledger.tail()
        details = {
            **actor.about,
            "actor": actor.id,
            "state": actor.cell.state,
            "error": "".join(traceback.format_exception(error))[-4000:],
            "ledger": tail[-20:],
        }
        self.say(codes.MOORAGE_ACTOR_CRASHED, details)
        self.on_crash(actor)
