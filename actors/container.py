"""The container actor: one container's calls to the engine, one at a time and in order."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from actors.ports import AgentLink, ContainerOrder, EngineFault, ImageCommand
from fsm.container import ContainerCell
from fsm.container_rows import CONTAINER
from protocol import codes
from protocol.base import Effect, Event
from protocol.container import (
    OUTCOMES,
    AttachContainer,
    AwaitAgent,
    AwaitExit,
    ContainerAttached,
    ContainerCreated,
    ContainerExited,
    ContainerKilled,
    ContainerRemoved,
    ContainerRenamed,
    ContainerStarted,
    CreateContainer,
    ExpectOrphan,
    ForgetImage,
    KillContainer,
    LeaveExit,
    LeaveImage,
    RemoveContainer,
    RenameContainer,
    StartContainer,
    WantImage,
)

if TYPE_CHECKING:
    from actors.pump import Pump
    from actors.recorder import Ledger
    from actors.world import World


class ContainerActor(Actor):
    """It lives until the engine confirms that its container is gone, whatever became of its owner.

    `pump` is the owner's in session mode; `link` goes to the guest agent in it, if there is to be one.
    """

    kind = CONTAINER
    queued = frozenset(
        {CreateContainer, AttachContainer, StartContainer, KillContainer, RenameContainer, RemoveContainer}
    )
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
        forget_image: Callable[[str], None] = lambda reference: None,
    ) -> None:
        super().__init__(world, id, ledger, {**about, "container": order.name})
        self.order, self.pump = order, pump
        self._want_image, self._leave_image, self._forget_image = want_image, leave_image, forget_image
        self.link: AgentLink | None = None
        self.image_command = ImageCommand()

    def end(self) -> None:
        super().end()
        self._let_go_of_link()

    def _let_go_of_link(self) -> None:
        if self.link is not None:
            self.link.close()
            self.link = None

    def perform(self, effect: Effect) -> None:
        match effect:
            case WantImage():
                self._want_image(self, effect)
            case LeaveImage():
                self._leave_image(self)
            case ForgetImage(reference=reference):
                self._forget_image(reference)
            case LeaveExit():
                self.drop(AwaitExit)
            case AwaitAgent():
                assert self.link is not None
                self.link.report(self.post)
            case ExpectOrphan():
                self.world.on_doubt()
            case _:
                super().perform(effect)

    async def work(self, effect: Effect) -> Event:
        engine = self.world.engine
        match effect:
            case CreateContainer():
                id = await engine.create_container(await self._order())
                self.about["containerId"] = id
                if self.link is not None:
                    self.link.made(id)
                return ContainerCreated(id=id)
            case AttachContainer(id=id):
                await self._attach(id)
                return ContainerAttached()
            case StartContainer(id=id, again=again):
                if not (again and await engine.has_been_started(id)):
                    await self._start(id)
                return ContainerStarted()
            case AwaitExit(id=id):
                exit_ = await engine.wait_container(id)
                return ContainerExited(status=exit_.status, oom=exit_.oom)
            case KillContainer(id=id, signal=signal):
                await engine.kill_container(id, signal)
                return ContainerKilled()
            case RenameContainer(id=id, name=name):
                await engine.rename_container(id, name)
                return ContainerRenamed()
            case RemoveContainer():
                await engine.remove_container(self.cell.id or self.order.name, self.order.token)
                self._let_go_of_link()  # a container made anew gets another
                self.drop(AwaitExit)  # there is nothing left to end
                return ContainerRemoved()
        return await super().work(effect)

    async def _order(self) -> ContainerOrder:
        """As it was ordered, or with the guest agent as its first program."""
        if self.cell.link == "none":
            return self.order
        if self.link is None:
            assert self.world.agents is not None
            if self.cell.mode == "session":
                self.image_command = await self.world.engine.image_command(self.order.image)
            self.link = await self.world.agents.open(self.order)
        return self.link.order

    async def _start(self, id: str) -> None:
        engine = self.world.engine
        await self._write_files(id)
        try:
            await engine.start_container(id)
        except EngineFault as fault:
            if not await self._mended(fault) or self.cell.link == "attach":
                raise  # a start that fails ends what is attached: the next login then
            await engine.start_container(id)

    async def _write_files(self, id: str) -> None:
        """What the login brought. A program must not run without them, so a failure is the start's."""
        files = self.order.files
        if not files:
            return
        details = {**self.about, "files": sorted(files)}
        self.world.say(codes.DOCKER_FILE_WRITE, details)
        try:
            await self.world.engine.write_files(id, files)
        except EngineFault as fault:
            why = f"the files of this login could not be written: {fault.why}"
            self.world.say(codes.DOCKER_FILE_WRITE_FAILED, {**details, "why": fault.why})
            raise EngineFault(fault.fault, why) from fault

    async def _mended(self, fault: EngineFault) -> bool:
        """Was it for want of the agent, and is the agent there now?"""
        agents = self.world.agents
        return self.link is not None and agents is not None and await agents.mend(self.world.engine, fault.why)

    async def _attach(self, id: str) -> None:
        engine = self.world.engine
        if self.link is not None:
            try:
                self.link.join(await engine.attach_container(id, False, self.link.sink))
            except EngineFault as fault:
                await self._mended(fault)  # for the next try; Podman looks for the program before it attaches
                raise
        else:
            assert self.pump is not None
            self.pump.join(await engine.attach_container(id, self.order.tty, self.pump))
