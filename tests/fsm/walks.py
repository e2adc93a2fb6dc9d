"""Seeded walks: one machine, and around it everything that it deals with, drawn from one seed. No clock, no tasks.

A walk has two parts: weather of the seed's choosing, then fair weather, in which it has to end. What must hold on the
way and at the end is asserted by the world of each machine; a refusal is always wrong.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar, get_args

from fsm.image import IMAGE
from fsm.kernel import Answer, Kind, Moved, Refused
from fsm.signal import SIGNAL
from fsm.spare import SPARE
from fsm.terminal import TERMINAL, TerminalCell
from protocol.base import PERMANENT, ArmDeadline, DeadlinePassed, Effect, Event, Fault, FaultClass, Size, Tell
from protocol.connection import DrainWanted, LandContainer
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded, ContainerProgressed, StopWanted
from protocol.image import (
    CancelPull,
    ImageFailed,
    ImageFound,
    ImageInspectFailed,
    ImagePullBegan,
    ImagePulled,
    ImageReady,
    ImageWanted,
    InspectImage,
    PullFailed,
    PullImage,
    PullProgressed,
    WaiterLeft,
)
from protocol.signal import SendSignal, SignalDelivered, SignalFailed, SignalOrdered, SignalSent
from protocol.spare import ClaimWanted, HandOver, SpareWanted, StaleFound
from protocol.terminal import Resize, Resized, ResizeFailed, SizeWanted, TerminalClosed, TerminalOpened

STEPS_MAX = 400
TRANSIENT = tuple(fault for fault in get_args(FaultClass) if fault not in PERMANENT)

# How likely among all that may happen next, and what it is.
Choice = tuple[float, Callable[[], Event]]


class Wrong(AssertionError):
    """What must hold did not."""


class World:
    """What happens around one machine. `fair` is set when the bad weather is over."""

    kind: ClassVar[Kind]

    def __init__(self, kind: Kind, seed: int) -> None:
        self.dice = Random(f"{kind.name} {seed}")
        self.table, self.cell = kind, kind.cell()
        self.trace: list[tuple[Event, Answer]] = []
        self.fair = False
        self.due: dict[str, DeadlinePassed] = {}
        # Swarm: each seed has weather of its own, some of it none.
        self.storm = self.dice.choice((0.0, 0.1, 0.3, 0.6))
        self.haste = self.dice.choice((0.0, 0.03, 0.3))
        self.finality = self.dice.choice((0.0, 0.1, 0.5))  # how many of its faults are permanent
        self.steps = self.dice.randrange(2, 60)

    def walk(self) -> "World":
        """From the first event to a final state. Raises `Wrong`."""
        for step in range(STEPS_MAX):
            if self.cell.state in self.table.final:
                self.at_end()
                return self
            self.fair = step >= self.steps
            choices = [*self.choices(), *self._deadlines()]
            self.expect(bool(choices), "nothing can happen any more")
            weights = [weight for weight, _ in choices]
            self.take(self.dice.choices(choices, weights)[0][1]())
        raise Wrong(f"it goes on for ever in {self.cell.state}")

    def take(self, event: Event) -> None:
        """One step, and what follows from it."""
        answer = self.table.step(self.cell, event)
        self.trace.append((event, answer))
        self.expect(not isinstance(answer, Refused), f"refused: {answer}")
        if isinstance(answer, Moved):
            for effect in answer.effects:
                if isinstance(effect, ArmDeadline):
                    self.due[effect.name] = DeadlinePassed(name=effect.name, arm=effect.arm)
                else:
                    self.asked(effect)
        self.always()

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise Wrong(what)

    def ok(self) -> bool:
        return self.fair or self.dice.random() >= self.storm

    def fault(self, kind: type[Fault], *, permanent: bool = True) -> Fault:
        """A fault of any class; the jitter's dice too."""
        classes: Sequence[FaultClass] = (
            tuple(sorted(PERMANENT)) if permanent and self.dice.random() < self.finality else TRANSIENT
        )
        return kind(fault=self.dice.choice(classes), why="weather", dice=self.dice.random())

    def _deadlines(self) -> list[Choice]:
        """The kernel arms, the clock decides; a backoff ends soon, a budget seldom."""

        def passed(name: str) -> Callable[[], Event]:
            return lambda: self.due.pop(name)

        often = 0.02 if self.fair else self.haste
        return [(0.6 if name == "backoff" else often, passed(name)) for name in self.due if name == "backoff" or often]

    @abstractmethod
    def choices(self) -> list[Choice]:
        """What may happen next."""

    @abstractmethod
    def asked(self, effect: Effect) -> None:
        """The machine asks for something."""

    def always(self) -> None:
        """What must hold after each step."""

    def at_end(self) -> None:
        """What must hold at the end."""


class ImageWorld(World):
    """Logins that wait for one image, come and go, and an engine that looks and pulls."""

    kind = IMAGE

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.waiting: list[str] = []
        self.heard: list[tuple[str, Event]] = []
        self.count = 0
        self.order: Effect | None = None
        self.asks = 0
        self.policy = self.dice.choice(("Always", "IfNotPresent", "Never"))
        self.reference = self.dice.choice(("busybox:1", "busybox"))
        self.absent = self.dice.random() < 0.2
        self.take(self._come())

    def _come(self) -> Event:
        self.count += 1
        self.waiting.append(f"w{self.count}")
        return ImageWanted(waiter=self.waiting[-1], reference=self.reference, platform="", policy=self.policy)

    def _go(self) -> Event:
        return WaiterLeft(waiter=self.waiting.pop(self.dice.randrange(len(self.waiting))))

    def choices(self) -> list[Choice]:
        found: list[Choice] = [(1.0, self._answer)] if self.order else []
        if isinstance(self.order, PullImage) or self.cell.state == "PULLING_AGAIN":
            found.append((0.5, lambda: PullProgressed(line="1 of 2 MB")))
        if not self.fair:
            found += [(0.3, self._come)]
            if self.waiting:
                found.append((self.haste + 0.1, self._go))
        return found

    def _answer(self) -> Event:
        order, self.order = self.order, None
        if isinstance(order, InspectImage):
            if self.absent:
                return ImageInspectFailed(fault="not_found", why="no such image", dice=0.5)
            return ImageFound(image_id="sha256:0") if self.ok() else self.fault(ImageInspectFailed)
        return ImagePulled() if self.ok() else self.fault(PullFailed)

    def asked(self, effect: Effect) -> None:
        match effect:
            case InspectImage() | PullImage():
                self.expect(self.order is None, "two orders at once")
                self.expect(effect.reference == self.reference, "another image")
                never = isinstance(effect, PullImage) and self.policy == "Never"
                self.expect(not never, "a pull that the policy forbids")
                self.order, self.asks = effect, self.asks + 1
            case CancelPull():
                self.expect(not self.waiting, "let go while somebody waits")
                self.order = None
            case Tell(to=to, event=event):
                self.expect(to in self.waiting, f"{to} does not wait")
                self.heard.append((to, event))

    def always(self) -> None:
        began = [to for to, event in self.heard if isinstance(event, ImagePullBegan)]
        self.expect(len(began) == len(set(began)), "told twice that a pull began")
        pulls = self.cell.state in ("PULLING", "PULLING_AGAIN")
        self.expect(not pulls or set(self.waiting) <= set(began), "waits for a pull and does not know it")

    def at_end(self) -> None:
        ends = [to for to, event in self.heard if isinstance(event, ImageReady | ImageFailed)]
        self.expect(sorted(ends) == sorted(self.waiting), "every waiter hears the end once")
        self.expect(self.order is None, "an order is left")
        ready = all(isinstance(event, ImageReady) for to, event in self.heard if to in ends and _is_end(event))
        self.expect(not self.waiting or ready == (self.cell.state == "READY"), "told otherwise than it is")


def _is_end(event: Event) -> bool:
    return isinstance(event, ImageReady | ImageFailed)


class TerminalWorld(World):
    """A user who drags a window's corner, and an engine that is told."""

    kind = TERMINAL

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.wanted: Size | None = Size(columns=80, rows=24)
        self.has: Size | None = None
        self.orders: deque[Resize] = deque()
        self.closed = self.gave_up = False
        self.clean = True
        size = self.wanted if self.dice.random() < 0.5 else None
        self.has = None if size else self.wanted
        self.take(TerminalOpened(target="exec", id="e0", size=size, seconds={"window": 5.0}))

    def choices(self) -> list[Choice]:
        found: list[Choice] = [(1.0, self._answer)] if self.orders else []
        if not self.fair:
            found.append((0.5, self._drag))
        elif not self.orders and "backoff" not in self.due:
            found.append((1.0, self._close))
        return [*found, (0.05, self._close)]

    def _drag(self) -> Event:
        self.wanted = Size(columns=self.dice.randrange(1, 300), rows=self.dice.randrange(1, 100))
        return SizeWanted(size=self.wanted)

    def _close(self) -> Event:
        self.closed = True
        return TerminalClosed()

    def _answer(self) -> Event:
        order = self.orders.popleft()
        if self.ok():
            self.has = order.size
            return Resized()
        self.clean = False
        return self.fault(ResizeFailed)

    def asked(self, effect: Effect) -> None:
        assert isinstance(effect, Resize) and isinstance(self.cell, TerminalCell)
        self.expect((effect.target, effect.id) == ("exec", "e0"), "another terminal")
        self.expect(effect.size == self.wanted, "not the newest size")
        self.orders.append(effect)

    def always(self) -> None:
        late = any(getattr(event, "name", "") == "window" for event, _ in self.trace)
        self.expect(len(self.orders) < 2 or late, "two calls at once")
        if self.clean and not late and self.cell.state == "IDLE":
            self.expect(self.has == self.wanted, "the program has another size than the user")

    def at_end(self) -> None:
        self.expect(self.closed, "nobody closed it")


class SignalWorld(World):
    """One signal, and an engine that may take it."""

    kind = SIGNAL

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.order = self.taken = self.told = False
        self.take(SignalOrdered(session="ss", id="c0", signal="TERM", seconds={"signal": 5.0}))

    def choices(self) -> list[Choice]:
        return [(1.0, self._answer)] if self.order else []

    def _answer(self) -> Event:
        self.order, self.taken = False, self.ok()
        return SignalSent() if self.taken else self.fault(SignalFailed)

    def asked(self, effect: Effect) -> None:
        match effect:
            case SendSignal(id="c0", signal="TERM"):
                self.expect(not self.order, "sent twice at once")
                self.order = True
            case Tell(to="ss", event=SignalDelivered(signal="TERM")):
                self.told = True
            case _:
                raise Wrong(f"nobody asked for {effect}")

    def at_end(self) -> None:
        self.expect(self.told == self.taken == (self.cell.state == "SENT"), "the session is told what is so")


def walk(world: type[World], seed: int, kind: Kind | None = None) -> World:
    """One walk of `world`'s machine, or of another version of it. Raises `Wrong`, which names the seed."""
    made = None
    try:
        made = world(kind or world.kind, seed)
        return made.walk()
    except AssertionError as error:
        steps = "" if made is None else "\n".join(f"  {event} -> {answer}" for event, answer in made.trace[-12:])
        raise Wrong(f"{world.__name__} seed {seed}: {error}\n{steps}") from error


class SpareWorld(World):
    """One spare among its container, the pool and a login."""

    kind = SPARE

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.container = "none"  # wanted, landed, gone
        self.claimed = self.handed = self.stopped = False
        self.take(SpareWanted(spare="sp", container="ct", image="busybox", seconds={"ttl": 600.0}))

    def choices(self) -> list[Choice]:
        found: list[Choice] = [(0.1, lambda: DrainWanted()), (0.1, lambda: StaleFound(why="its image has changed"))]
        if self.container == "wanted":
            found += [(0.2, lambda: ContainerProgressed(line="1 of 2 MB")), (1.0, self._lands)]
        if self.container == "landed":
            found += [(1.0, self._claims), (self.storm, self._exits)]
        return found

    def _lands(self) -> Event:
        self.container = "landed" if self.ok() else "gone"
        failed = ContainerFailed(code="DOCKER_CONTAINER_START_FAILED", why="no")
        return ContainerLanded(container="ct", id="c0") if self.container == "landed" else failed

    def _claims(self) -> Event:
        self.claimed = True
        return ClaimWanted(owner="cn", container="moorage-1")

    def _exits(self) -> Event:
        self.container = "gone"
        return ContainerExited(status=137)

    def asked(self, effect: Effect) -> None:
        match effect:
            case LandContainer(container="ct"):
                self.container = "wanted"
            case HandOver(container="ct", owner="cn", name="moorage-1"):
                self.handed = True
            case Tell(to="ct", event=StopWanted()):
                self.stopped = True
            case _:
                raise Wrong(f"nobody knows {effect}")

    def at_end(self) -> None:
        ends = [self.handed, self.stopped, self.container == "gone"]
        self.expect(ends.count(True) == 1, "its container is nobody's, or two want it")
        self.expect(self.handed == self.claimed, "handed to nobody, or claimed in vain")
