"""The container machine among an engine, an image, an owner and the clock."""

from collections import deque

from fsm.container_rows import CONTAINER
from fsm.kernel import Kind
from protocol.base import Effect, Event, Tell
from protocol.connection import TerminateWanted
from protocol.container import (
    AgentGreeted,
    AttachContainer,
    AttachFailed,
    AwaitAgent,
    AwaitExit,
    ContainerAttached,
    ContainerClaimed,
    ContainerCreated,
    ContainerExited,
    ContainerFailed,
    ContainerKilled,
    ContainerLanded,
    ContainerProgressed,
    ContainerRemoved,
    ContainerRenamed,
    ContainerStarted,
    ContainerWanted,
    CreateContainer,
    CreateFailed,
    ExpectOrphan,
    ForgetImage,
    KillContainer,
    KillFailed,
    LeaveExit,
    LeaveImage,
    LinkLost,
    OrphanFound,
    RemoveContainer,
    RemoveFailed,
    RenameContainer,
    RenameFailed,
    StartContainer,
    StartFailed,
    StopWanted,
    WaitFailed,
    WantImage,
)
from protocol.image import ImageFailed, ImagePullBegan, ImageReady, ImageRemembered, PullProgressed
from tests.fsm.walks import Choice, World, Wrong

SECONDS = {"container_start": 60.0, "container_stop": 5.0, "container_remove": 60.0, "link": 2.0}


class ContainerWorld(World):
    """`exists` and `runs` are the engine's truth, whatever the machine was told."""

    kind = CONTAINER

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.exists = self.runs = self.attached = self.stdin_is_lost = False
        self.comes = False  # a create whose answer was lost is not over
        self.looked_for = False  # by the sweep
        self.started = False  # whether or not we were told
        self.orders: deque[Effect] = deque()
        self.waits = self.wait_is_late = False  # AwaitExit is under way; it was let go of too late
        self.resolves = False  # the image actor has us in its list
        self.memory = self.dice.choice(("none", "none", "is asked"))  # of images: then it is used, then forgotten
        self.told: list[Event] = []
        self.stops = 0
        self.spare = self.dice.random() < 0.5  # its owner is the pool
        self.claims = 0
        self.speed = self.dice.choice((1.0, 1.0, 0.1))  # of the engine
        self.impatience = self.dice.choice((0.0, 0.02, 0.1))
        self.mode = self.dice.choice(("connection", "session"))
        self.link = self.dice.choice(("none", "none", "attach", "socket"))
        self.agent = "none"  # asked for, then here, then gone
        self.orphan = seed % 8 == 0
        if self.orphan:
            self.exists = self.dice.random() < 0.9
            self.take(OrphanFound(container="ct", name="ct", why="left", seconds={"container_remove": 60.0}))
        else:
            seconds = SECONDS | ({"command_start": 30.0} if self.mode == "session" else {})
            self.take(
                ContainerWanted(
                    container="ct",
                    owner="cn",
                    image="busybox",
                    platform="",
                    policy="Always",
                    mode=self.mode,  # type: ignore[arg-type]
                    seconds=seconds,
                    link=self.link,  # type: ignore[arg-type]
                )
            )

    def choices(self) -> list[Choice]:
        found: list[Choice] = [(self.speed, self._answer)] if self.orders else []
        if self.resolves:
            found += [(0.5, self._pulls), (0.5, self._image)]
        if self.resolves and self.memory == "is asked":
            found = [(1.0, self._remembers)]
        if self.waits and not (self.exists and self.runs):
            found.append((0.2, self._exited))
        if self.agent == "asked for" and self.runs:
            found.append((0.7, self._greets))
        if self.agent in ("asked for", "here"):
            found.append((0.5 if not self.runs else 0.2 * self.storm, self._link_lost))
        if self.waits and not self.fair:
            found.append((self.storm, self._unwatched))
        if self.wait_is_late:
            found.append((9.0, self._unwatched))
        if self.runs:
            found.append((0.1, self._program_ends))
        if self.spare and self.claims == 0 and any(isinstance(event, ContainerLanded) for event in self.told):
            found.append((0.5, self._claim))
        owner_is_tired = 1.0 if self.fair and self.stops == 0 else self.impatience
        if not self.orphan and owner_is_tired:
            found += [(owner_is_tired, self._stop), (self.impatience, self._terminate)]
        return found

    def _answer(self) -> Event:
        effect = self.orders.popleft()
        well = self.ok()
        match effect:
            case CreateContainer():
                if well:
                    self.exists, self.comes = True, False
                    return ContainerCreated(id="c0")
                # A permanent answer is the engine's own, so nothing was made now; of the others the answer may be lost.
                fault = self.fault(CreateFailed)
                if fault.fault in ("unavailable", "timeout", "internal"):
                    self.exists = self.exists or self.dice.random() < 0.5
                    self.comes = not self.exists and self.dice.random() < 0.5
                return fault
            case AttachContainer(id="c0"):
                self.expect(not self.stdin_is_lost, "attached to a container that reads nothing any more")
                self.attached = well
                if well:
                    return ContainerAttached()
                self.stdin_is_lost = self.dice.random() < 0.5  # the engine has attached us, and its answer got lost
                return self.fault(AttachFailed)
            case StartContainer(id="c0", again=again):
                wanted = self.link == "attach" or (self.link == "none" and self.mode == "session")
                self.expect(self.attached == wanted, "started before it is attached")
                self.expect(again or not self.started, "started twice")
                if well and self.exists:
                    self.runs = self.started = True
                    return ContainerStarted()
                fault = self.fault(StartFailed)
                self.started = self.started or (fault.fault in ("unavailable", "timeout") and self.dice.random() < 0.5)
                return fault
            case KillContainer(id="c0"):
                if well:
                    self.runs = self.runs and self.dice.random() < 0.5
                    return ContainerKilled()
                return self.fault(KillFailed)
            case RenameContainer(id="c0", name="moorage-1"):
                return ContainerRenamed() if well else self.fault(RenameFailed)
            case RemoveContainer():
                if well:
                    self.exists = self.runs = self.waits = self.attached = self.stdin_is_lost = self.started = False
                    return ContainerRemoved()
                return self.fault(RemoveFailed)
        raise Wrong(f"an order to somebody else: {effect}")

    def _pulls(self) -> Event:
        return ImagePullBegan() if self.cell.state == "RESOLVING" else PullProgressed(line="1 of 2 MB")

    def _image(self) -> Event:
        self.resolves = False
        return ImageReady() if self.ok() or self.ok() else ImageFailed(code="DOCKER_IMAGE_PULL_FAILED", why="no")

    def _remembers(self) -> Event:
        self.resolves, self.memory = False, "is used"
        return ImageRemembered()

    def _exited(self) -> Event:
        self.waits = False
        if not self.exists and self.dice.random() < 0.5:
            return WaitFailed(fault="not_found", why="no such container", dice=0.5)
        return ContainerExited(status=self.dice.choice((0, 1, 137, 143)))

    def _unwatched(self) -> Event:
        self.waits = self.wait_is_late = False
        return self.fault(WaitFailed, permanent=False)

    def _program_ends(self) -> Event:
        """It ends, or somebody removes it behind our back; we hear of it by what waits."""
        self.runs = False
        self.exists = self.exists and self.dice.random() < 0.7
        if self.waits:
            return self._exited()
        return PullProgressed(line="late") if self.cell.state == "PULLING" else self._stop()

    def _greets(self) -> Event:
        self.agent = "here"
        return AgentGreeted()

    def _link_lost(self) -> Event:
        self.agent = "gone"
        return LinkLost(why="the agent has ended")

    def _claim(self) -> Event:
        self.claims += 1
        return ContainerClaimed(owner="cn", container="moorage-1")

    def _stop(self) -> Event:
        self.stops += 1
        return StopWanted(why="the owner is done")

    def _terminate(self) -> Event:
        self.stops += 1
        return TerminateWanted(why="shutting down")

    def asked(self, effect: Effect) -> None:
        match effect:
            case Tell(to="cn", event=event):
                self._tell(event)
            case WantImage(reference="busybox"):
                self.resolves = True
            case ForgetImage(reference="busybox"):
                self.expect(self.memory == "is used", "forgets what nobody has remembered")
                self.memory = "none"
            case LeaveImage():
                self.expect(self.resolves, "leaves an image that it has")
                self.resolves = False
            case AwaitExit(id="c0"):
                self.expect(not self.waits, "waits twice")
                self.waits = True
            case LeaveExit():
                self.waits = False
                self.wait_is_late = self.dice.random() < 0.2  # it has failed, and that is on its way
            case AwaitAgent():
                self.expect(self.link != "none" and self.agent == "none", "no agent, or asked for twice")
                self.agent = "asked for"
            case ExpectOrphan():
                self.looked_for = True
            case (
                CreateContainer()
                | AttachContainer()
                | StartContainer()
                | KillContainer()
                | RenameContainer()
                | RemoveContainer()
            ):
                self.orders.append(effect)
            case _:
                raise Wrong(f"nobody knows {effect}")

    def _tell(self, event: Event) -> None:
        self.expect(not self.orphan, "an orphan has no owner")
        heard = [old for old in self.told if getattr(old, "code", "") != "MOORAGE_SPARE_LOST"]  # that is the claimer's
        before = [type(old) for old in heard if not isinstance(old, ContainerProgressed)]
        match event:
            case ContainerProgressed():
                self.expect(before == [], "progress after the end of it")
            case ContainerLanded(container="ct", id="c0", served=served):
                self.expect(served == (self.link != "none"), "served by nobody, or not by its agent")
                self.expect(before == [], f"landed after {before}")
            case ContainerLanded(container="moorage-1", id="c0"):
                self.expect(self.claims == 1 and before == [ContainerLanded], f"claimed after {before}")
            case ContainerFailed(code="MOORAGE_SPARE_LOST"):
                self.expect(self.claims == 1, "a claim is refused that nobody made")
            case ContainerFailed():
                self.expect(before == [], f"failed after {before}")
            case ContainerExited():
                self.expect(set(before) == {ContainerLanded}, f"exited after {before}")
            case _:
                raise Wrong(f"the owner does not know {event}")
        self.told.append(event)

    def always(self) -> None:
        if self.cell.state in self.table.final:
            self.expect(not self.exists, f"alive in {self.cell.state}")
            self.expect(self.looked_for or not self.comes, "it comes later, and nobody looks for it")
        if self.cell.state == "RUNNING":
            self.expect(any(isinstance(event, ContainerLanded) for event in self.told), "runs, and nobody knows")
            self.expect(self.waits or self.link != "none", "runs unwatched")

    def at_end(self) -> None:
        self.expect(not self.resolves, "the image actor still has us in its list")
        self.expect(not self.orders, "orders are left")
        if not self.orphan and self.stops == 0:
            ends = [event for event in self.told if isinstance(event, ContainerFailed | ContainerExited)]
            ends = [event for event in ends if getattr(event, "code", "") != "MOORAGE_SPARE_LOST"]
            self.expect(len(ends) == 1, "the owner is not told that it is over")
