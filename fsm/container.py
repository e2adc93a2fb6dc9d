"""One container, from the wish for it to its certain removal.

Owned by a connection (mode connection) or by a session (mode session). Once the engine may have it, the only way out
is through REMOVING, which ends when the engine confirms that it is gone, and not before.
"""

from fsm.kernel import Effects
from fsm.retry import RetryCell, back_off, last_try
from protocol import codes
from protocol.base import PERMANENT, DeadlinePassed, Event, Fault, Tell
from protocol.codes import Code
from protocol.connection import TerminateWanted
from protocol.container import (
    AgentGreeted,
    AttachContainer,
    AttachFailed,
    AwaitAgent,
    AwaitExit,
    ContainerClaimed,
    ContainerCreated,
    ContainerExited,
    ContainerFailed,
    ContainerLanded,
    ContainerProgressed,
    ContainerRemoved,
    ContainerStarted,
    ContainerWanted,
    CreateContainer,
    CreateFailed,
    ExpectOrphan,
    ForgetImage,
    KillContainer,
    LeaveExit,
    LeaveImage,
    Link,
    LinkLost,
    OrphanFound,
    RemoveContainer,
    RemoveFailed,
    RenameContainer,
    StartContainer,
    WaitFailed,
    WantImage,
)
from protocol.container import ContainerState as S
from protocol.image import ImageFailed, ImageRemembered, PullProgressed
from protocol.settings import ExecutionMode, ImagePullPolicy

START = "container_start"  # docker.timeouts.containerStart: image, create and start, one budget
COMMAND = "command_start"  # docker.timeouts.commandStart: in session mode create, attach and start
STOP = "container_stop"  # docker.timeouts.containerStop: from TERM to force
LINK = "link"  # from the loss of the link until the engine must have told of the container's end
REMOVE = "container_remove"  # docker.timeouts.containerStop again: when a removal that is not confirmed is an error


class ContainerCell(RetryCell):
    """`id` is the engine's, once it told us. `attach_tries` outlives the container that is replaced.

    `is_remembered`: nobody has looked whether the engine has the image, only the create will tell.
    `is_uncertain`: a create whose end we have not heard may still be under way at the engine.
    """

    state: str = S.ABSENT.name
    container: str = ""
    owner: str = ""
    image: str = ""
    platform: str = ""
    policy: ImagePullPolicy = "IfNotPresent"
    is_remembered: bool = False
    mode: ExecutionMode = "connection"
    id: str = ""
    link: Link = "none"
    attach_tries: int = 0
    is_uncertain: bool = False


# Guards


def stdio_is_wanted(cell: ContainerCell, event: Event) -> bool:
    """By the session whose program it is, or by the link to the agent."""
    return cell.link == "attach" or (cell.link == "none" and cell.mode == "session")


def agent_is_in_it(cell: ContainerCell, event: Event) -> bool:
    return cell.link != "none"


def nothing_is_left(cell: ContainerCell, event: WaitFailed) -> bool:
    return event.fault == "not_found"


def nothing_was_made(cell: ContainerCell, event: CreateFailed) -> bool:
    """Refused for good at the first try. After one whose answer was lost, the engine may have the container."""
    return event.fault in PERMANENT and cell.tries == 0


def image_is_gone(cell: ContainerCell, event: CreateFailed) -> bool:
    """What was remembered of it is outdated, so far as we can tell; or something else of the order is not there."""
    return cell.is_remembered and event.fault == "not_found" and nothing_was_made(cell, event)


def it_may_still_come(cell: ContainerCell, event: ContainerRemoved) -> bool:
    """It is not there, but who knows whether the create that we gave up is over."""
    return cell.is_uncertain


# Makers


def want_image(cell: ContainerCell, event: ContainerWanted) -> Effects:
    cell.container, cell.owner, cell.image, cell.mode = event.container, event.owner, event.image, event.mode
    cell.platform, cell.policy = event.platform, event.policy
    cell.seconds, cell.link = dict(event.seconds), event.link
    return (_want_image(cell),)


def look_again(cell: ContainerCell, event: CreateFailed) -> Effects:
    cell.is_remembered = False
    return ForgetImage(reference=cell.image), _want_image(cell)


def _want_image(cell: ContainerCell) -> WantImage:
    return WantImage(reference=cell.image, platform=cell.platform, policy=cell.policy)


def leave_image(cell: ContainerCell, event: Event) -> Effects:
    return (LeaveImage(),)


def pass_on(cell: ContainerCell, event: PullProgressed) -> Effects:
    return (Tell(to=cell.owner, event=ContainerProgressed(line=event.line)),)


def create(cell: ContainerCell, event: Event) -> Effects:
    return (CreateContainer(),)


def create_unseen(cell: ContainerCell, event: ImageRemembered) -> Effects:
    cell.is_remembered = True
    return create(cell, event)


def back_off_create(cell: ContainerCell, event: CreateFailed) -> Effects:
    return *note_doubt(cell, event), *back_off(cell, event)


def note_doubt(cell: ContainerCell, event: Event) -> Effects:
    """Only what the engine refuses for good has certainly not been done."""
    if isinstance(event, CreateFailed) and event.fault not in PERMANENT:
        cell.is_uncertain = True
    return ()


def note_created(cell: ContainerCell, event: ContainerCreated) -> Effects:
    """There is one of a name: no other will come."""
    cell.is_uncertain = False
    return ()


def expect_orphan(cell: ContainerCell, event: ContainerRemoved) -> Effects:
    return (ExpectOrphan(),)


def create_anew(cell: ContainerCell, event: ContainerRemoved) -> Effects:
    """The old one's id must not be what a removal goes by from now on."""
    cell.id = ""
    return create(cell, event)


def attach(cell: ContainerCell, event: Event) -> Effects:
    _note_id(cell, event)
    cell.tries = cell.attach_tries
    return (AttachContainer(id=cell.id),)


def back_off_attach(cell: ContainerCell, event: AttachFailed | RemoveFailed) -> Effects:
    effects = back_off(cell, event)
    cell.attach_tries = cell.tries
    return effects


def start(cell: ContainerCell, event: Event) -> Effects:
    _note_id(cell, event)
    return (StartContainer(id=cell.id),)


def start_again(cell: ContainerCell, event: DeadlinePassed) -> Effects:
    return (StartContainer(id=cell.id, again=True),)


def _note_id(cell: ContainerCell, event: Event) -> None:
    if isinstance(event, ContainerCreated):
        cell.id = event.id
        note_created(cell, event)
    cell.tries = 0


def land(cell: ContainerCell, event: ContainerStarted) -> Effects:
    cell.tries = 0
    return AwaitExit(id=cell.id), Tell(to=cell.owner, event=ContainerLanded(container=cell.container, id=cell.id))


def await_agent(cell: ContainerCell, event: ContainerStarted) -> Effects:
    cell.tries = 0
    return AwaitExit(id=cell.id), AwaitAgent()


def land_served(cell: ContainerCell, event: AgentGreeted) -> Effects:
    """From now on the link tells when it ends: a wait at the engine for each container takes 10 KiB."""
    return LeaveExit(), Tell(to=cell.owner, event=ContainerLanded(container=cell.container, id=cell.id, served=True))


def change_hands(cell: ContainerCell, event: ContainerClaimed) -> Effects:
    cell.owner = event.owner
    landed = ContainerLanded(container=event.container, id=cell.id, served=cell.link != "none")
    return Tell(to=cell.owner, event=landed), RenameContainer(id=cell.id, name=event.container)


def disappoint(cell: ContainerCell, event: ContainerClaimed) -> Effects:
    """It is ending already."""
    code = codes.MOORAGE_SPARE_LOST
    return (Tell(to=event.owner, event=ContainerFailed(code=code.name, why=code.user)),)


def watch(cell: ContainerCell, event: Event) -> Effects:
    return (AwaitExit(id=cell.id),)


def terminate(cell: ContainerCell, event: TerminateWanted) -> Effects:
    return (KillContainer(id=cell.id, signal="TERM"),)


def remove(cell: ContainerCell, event: Event) -> Effects:
    if not isinstance(event, DeadlinePassed):
        cell.tries = 0
    return (RemoveContainer(),)


def exited(cell: ContainerCell, event: ContainerExited) -> Effects:
    return (*remove(cell, event), Tell(to=cell.owner, event=event))


def lost(cell: ContainerCell, event: Event) -> Effects:
    """Somebody removed it, or killed its agent, behind our back; how it ended is not known: it counts as killed."""
    return (*remove(cell, event), Tell(to=cell.owner, event=ContainerExited(status=137)))


def adopt(cell: ContainerCell, event: OrphanFound) -> Effects:
    cell.id, cell.container, cell.seconds = event.id, event.container, dict(event.seconds)
    return (RemoveContainer(),)


def fail_image(cell: ContainerCell, event: ImageFailed) -> Effects:
    return (Tell(to=cell.owner, event=ContainerFailed(code=event.code, why=event.why)),)


def expire_look(cell: ContainerCell, event: DeadlinePassed) -> Effects:
    return LeaveImage(), _no_image(cell, codes.DOCKER_IMAGE_LISTING_FAILED, event)


def expire_pull(cell: ContainerCell, event: DeadlinePassed) -> Effects:
    return LeaveImage(), _no_image(cell, codes.DOCKER_IMAGE_PULL_FAILED, event)


def _no_image(cell: ContainerCell, code: Code, event: DeadlinePassed) -> Tell:
    why = code.user.format(reference=cell.image, why=_late(cell, event))
    return Tell(to=cell.owner, event=ContainerFailed(code=code.name, why=why))


def fail_create(cell: ContainerCell, event: Event) -> Effects:
    return (_failed(cell, codes.DOCKER_CONTAINER_CREATE_FAILED, event),)


def fail_create_and_remove(cell: ContainerCell, event: Event) -> Effects:
    note_doubt(cell, event)
    return _failed(cell, codes.DOCKER_CONTAINER_CREATE_FAILED, event), *remove(cell, event)


def fail_attach_and_remove(cell: ContainerCell, event: Event) -> Effects:
    return _failed(cell, codes.DOCKER_CONTAINER_ATTACH_FAILED, event), *remove(cell, event)


def fail_attach(cell: ContainerCell, event: Event) -> Effects:
    """Its removal is under way already."""
    return (_failed(cell, codes.DOCKER_CONTAINER_ATTACH_FAILED, event),)


def fail_start_and_remove(cell: ContainerCell, event: Event) -> Effects:
    return _failed(cell, codes.DOCKER_CONTAINER_START_FAILED, event), *remove(cell, event)


def fail_agent_and_remove(cell: ContainerCell, event: Event) -> Effects:
    match event:
        case ContainerExited(status=status):
            why = f"the container ended at once (status {status})"
        case LinkLost(why=why):
            pass
        case Fault(why=why):
            pass
        case _:
            why = _late(cell, event)
    code = codes.MOORAGE_AGENT_FAILED
    told = ContainerFailed(code=code.name, why=code.user.format(why=why))
    return Tell(to=cell.owner, event=told), *remove(cell, event)


def _failed(cell: ContainerCell, code: Code, event: Event) -> Tell:
    why = event.why if isinstance(event, Fault) else _late(cell, event)
    return Tell(to=cell.owner, event=ContainerFailed(code=code.name, why=code.user.format(why=why)))


def _late(cell: ContainerCell, event: Event) -> str:
    assert isinstance(event, DeadlinePassed)
    key = {START: "containerStart", COMMAND: "commandStart"}[event.name]
    return f"it took longer than docker.timeouts.{key} ({cell.seconds[event.name]:g} s){last_try(cell)}"
