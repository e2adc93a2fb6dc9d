"""The container actor: one container's calls to the engine, one at a time and in order."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from actors.ports import ContainerOrder
from fsm.container import CONTAINER, ContainerCell
from protocol.base import Effect, Event
from protocol.container import (
    OUTCOMES,
    AttachContainer,
    AwaitExit,
    ContainerAttached,
    ContainerCreated,
    ContainerExited,
    ContainerKilled,
    ContainerRemoved,
    ContainerStarted,
    CreateContainer,
    KillContainer,
    LeaveImage,
    RemoveContainer,
    StartContainer,
    WantImage,
)

if TYPE_CHECKING:
    from actors.pump import Pump
    from actors.recorder import Ledger
    from actors.world import World


class ContainerActor(Actor):
    """It lives until the engine confirms that its container is gone, whatever became of its owner.

    `pump` is the owner's in session mode; `want_image` and `leave_image` are the supervisor's, which knows the images.
    """

    kind = CONTAINER
    queued = frozenset({CreateContainer, AttachContainer, StartContainer, KillContainer, RemoveContainer})
    beside = frozenset({AwaitExit})
    outcomes = OUTCOMES
    cell: ContainerCell

    def __init__(
        self,
        world: "World",
        id: str,
        ledger: "Ledger",
        about: dict[str, Any],
        order: ContainerOrder,
        pump: "Pump | None" = None,
        want_image: Callable[["ContainerActor", WantImage], None] = lambda actor, effect: None,
        leave_image: Callable[["ContainerActor"], None] = lambda actor: None,
    ) -> None:
        super().__init__(world, id, ledger, {**about, "container": order.name})
        self.order, self.pump = order, pump
        self._want_image, self._leave_image = want_image, leave_image

    def perform(self, effect: Effect) -> None:
        match effect:
            case WantImage():
                self._want_image(self, effect)
            case LeaveImage():
                self._leave_image(self)
            case _:
                super().perform(effect)

    async def work(self, effect: Effect) -> Event:
        engine = self.world.engine
        match effect:
            case CreateContainer():
                id = await engine.create_container(self.order)
                self.about["containerId"] = id
                return ContainerCreated(id=id)
            case AttachContainer(id=id):
                assert self.pump is not None
                self.pump.join(await engine.attach_container(id, self.order.tty, self.pump))
                return ContainerAttached()
            case StartContainer(id=id):
                await engine.start_container(id)
                return ContainerStarted()
            case AwaitExit(id=id):
                exit_ = await engine.wait_container(id)
                return ContainerExited(status=exit_.status, oom=exit_.oom)
            case KillContainer(id=id, signal=signal):
                await engine.kill_container(id, signal)
                return ContainerKilled()
            case RemoveContainer():
                await engine.remove_container(self.order.name, self.order.token)
                self.drop(AwaitExit)  # there is nothing left to end
                return ContainerRemoved()
        return await super().work(effect)
