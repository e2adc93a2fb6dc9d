"""One container, from the wish for it to its certain removal.

Owned by a connection (mode connection) or by a session (mode session). Once the engine may have it, the only way out
is through REMOVING, which ends when the engine confirms that it is gone, and not before.
"""

from fsm.kernel import Effects, Kind, Row
from fsm.retry import BACKOFF, RetryCell, back_off, may_try_again
from protocol import codes
from protocol.base import PERMANENT, DeadlinePassed, Event, Fault, Tell
from protocol.codes import Code
from protocol.connection import TerminateWanted
from protocol.container import (
    AttachContainer,
    AttachFailed,
    AwaitExit,
    ContainerAttached,
    ContainerCreated,
    ContainerExited,
    ContainerFailed,
    ContainerKilled,
    ContainerLanded,
    ContainerProgressed,
    ContainerRemoved,
    ContainerStarted,
    ContainerWanted,
    CreateContainer,
    CreateFailed,
    KillContainer,
    KillFailed,
    LeaveImage,
    OrphanFound,
    RemoveContainer,
    RemoveFailed,
    StartContainer,
    StartFailed,
    StopWanted,
    WaitFailed,
    WantImage,
)
from protocol.container import ContainerState as S
from protocol.image import ImageFailed, ImageReady, PullProgressed
from protocol.settings import ExecutionMode

START = "container_start"  # docker.timeouts.containerStart: image, create and start, one budget
COMMAND = "command_start"  # docker.timeouts.commandStart: in session mode create, attach and start
STOP = "container_stop"  # docker.timeouts.containerStop: from TERM to force
REMOVE = "container_remove"  # docker.timeouts.containerStop again: when a removal that is not confirmed is an error


class ContainerCell(RetryCell):
    """`id` is the engine's, once it told us. `attach_tries` outlives the container that is replaced."""

    state: str = S.ABSENT.name
    container: str = ""
    owner: str = ""
    image: str = ""
    mode: ExecutionMode = "connection"
    id: str = ""
    attach_tries: int = 0


# Guards


def mode_is_session(cell: ContainerCell, event: Event) -> bool:
    return cell.mode == "session"


def nothing_is_left(cell: ContainerCell, event: WaitFailed) -> bool:
    return event.fault == "not_found"


def nothing_was_made(cell: ContainerCell, event: CreateFailed) -> bool:
    """Refused for good at the first try. After one whose answer was lost, the engine may have the container."""
    return event.fault in PERMANENT and cell.tries == 0


# Makers


def want_image(cell: ContainerCell, event: ContainerWanted) -> Effects:
    cell.container, cell.owner, cell.image, cell.mode = event.container, event.owner, event.image, event.mode
    cell.seconds = dict(event.seconds)
    return (WantImage(reference=event.image, platform=event.platform, policy=event.policy),)


def leave_image(cell: ContainerCell, event: Event) -> Effects:
    return (LeaveImage(),)


def pass_on(cell: ContainerCell, event: PullProgressed) -> Effects:
    return (Tell(to=cell.owner, event=ContainerProgressed(line=event.line)),)


def create(cell: ContainerCell, event: Event) -> Effects:
    return (CreateContainer(),)


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


def _note_id(cell: ContainerCell, event: Event) -> None:
    if isinstance(event, ContainerCreated):
        cell.id = event.id
    if not isinstance(event, DeadlinePassed):
        cell.tries = 0


def land(cell: ContainerCell, event: ContainerStarted) -> Effects:
    cell.tries = 0
    return AwaitExit(id=cell.id), Tell(to=cell.owner, event=ContainerLanded(container=cell.container, id=cell.id))


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


def lost(cell: ContainerCell, event: WaitFailed) -> Effects:
    """Somebody removed it behind our back; what it ended with is not known, so it counts as killed."""
    return (*remove(cell, event), Tell(to=cell.owner, event=ContainerExited(status=137)))


def adopt(cell: ContainerCell, event: OrphanFound) -> Effects:
    cell.container, cell.seconds = event.container, dict(event.seconds)
    return (RemoveContainer(),)


def fail_image(cell: ContainerCell, event: ImageFailed) -> Effects:
    return (Tell(to=cell.owner, event=ContainerFailed(code=event.code, why=event.why)),)


def expire_image(cell: ContainerCell, event: DeadlinePassed) -> Effects:
    why = codes.DOCKER_IMAGE_PULL_FAILED.user.format(reference=cell.image, why=_late(cell, event))
    return LeaveImage(), Tell(to=cell.owner, event=ContainerFailed(code=codes.DOCKER_IMAGE_PULL_FAILED.name, why=why))


def fail_create(cell: ContainerCell, event: Event) -> Effects:
    return (_failed(cell, codes.DOCKER_CONTAINER_CREATE_FAILED, event),)


def fail_create_and_remove(cell: ContainerCell, event: Event) -> Effects:
    return _failed(cell, codes.DOCKER_CONTAINER_CREATE_FAILED, event), *remove(cell, event)


def fail_attach_and_remove(cell: ContainerCell, event: Event) -> Effects:
    return _failed(cell, codes.DOCKER_CONTAINER_ATTACH_FAILED, event), *remove(cell, event)


def fail_attach(cell: ContainerCell, event: Event) -> Effects:
    """Its removal is under way already."""
    return (_failed(cell, codes.DOCKER_CONTAINER_ATTACH_FAILED, event),)


def fail_start_and_remove(cell: ContainerCell, event: Event) -> Effects:
    return _failed(cell, codes.DOCKER_CONTAINER_START_FAILED, event), *remove(cell, event)


def _failed(cell: ContainerCell, code: Code, event: Event) -> Tell:
    why = event.why if isinstance(event, Fault) else _late(cell, event)
    return Tell(to=cell.owner, event=ContainerFailed(code=code.name, why=code.user.format(why=why)))


def _late(cell: ContainerCell, event: Event) -> str:
    assert isinstance(event, DeadlinePassed)
    key = {START: "containerStart", COMMAND: "commandStart"}[event.name]
    return f"it took longer than docker.timeouts.{key} ({cell.seconds[event.name]:g} s)"


ATTACHING = (S.ATTACHING, S.ATTACHING_AGAIN, S.REPLACING)
STARTING = (S.CREATING, S.CREATING_AGAIN, *ATTACHING, S.STARTING, S.STARTING_AGAIN)
DEADLINES = {
    START: (S.RESOLVING, *STARTING),
    COMMAND: STARTING,
    STOP: (S.STOPPING,),
    REMOVE: (S.REMOVING, S.REMOVING_AGAIN),
    BACKOFF: (S.CREATING_AGAIN, S.ATTACHING_AGAIN, S.STARTING_AGAIN, S.UNWATCHED, S.REMOVING_AGAIN),
}

PULL_FAILED = codes.DOCKER_IMAGE_PULL_FAILED
CREATE, CREATE_FAILED = codes.DOCKER_CONTAINER_CREATE, codes.DOCKER_CONTAINER_CREATE_FAILED
ATTACH, ATTACH_FAILED = codes.DOCKER_CONTAINER_ATTACH, codes.DOCKER_CONTAINER_ATTACH_FAILED
BEGIN, START_FAILED = codes.DOCKER_CONTAINER_START, codes.DOCKER_CONTAINER_START_FAILED
LANDED = codes.MOORAGE_CONTAINER_LANDED
UNWATCHED = codes.MOORAGE_CONTAINER_UNWATCHED
HALT, HALT_FAILED = codes.DOCKER_CONTAINER_STOP, codes.DOCKER_CONTAINER_STOP_FAILED
GO, GO_FAILED = codes.DOCKER_CONTAINER_REMOVE, codes.DOCKER_CONTAINER_REMOVE_FAILED
GONE = codes.DOCKER_CONTAINER_REMOVE_SUCCESSFUL
ORPHAN = codes.MOORAGE_ORPHAN_FOUND

# fmt: off
ROWS = (
    #   id        in state           on                 to                 do                      when                says
    Row("CT0101", S.ABSENT,          ContainerWanted,   S.RESOLVING,       want_image),
    Row("CT0102", S.ABSENT,          OrphanFound,       S.REMOVING,        adopt,                  None,               (ORPHAN, GO)),

    Row("CT0201", S.RESOLVING,       ImageReady,        S.CREATING,        create,                 None,               (CREATE,)),
    Row("CT0202", S.RESOLVING,       ImageFailed,       S.FAILED,          fail_image),
    Row("CT0203", S.RESOLVING,       PullProgressed,    None,              pass_on),
    Row("CT0204", S.RESOLVING,       DeadlinePassed,    S.FAILED,          expire_image,           None,               (PULL_FAILED,), START),
    Row("CT0205", S.RESOLVING,       StopWanted,        S.REMOVED,         leave_image),  # nothing was made
    Row("CT0206", S.RESOLVING,       TerminateWanted,   S.REMOVED,         leave_image),

    Row("CT0301", S.CREATING,        ContainerCreated,  S.ATTACHING,       attach,                 mode_is_session,    (ATTACH,)),
    Row("CT0302", S.CREATING,        ContainerCreated,  S.STARTING,        start,                  None,               (BEGIN,)),
    Row("CT0303", S.CREATING,        CreateFailed,      S.FAILED,          fail_create,            nothing_was_made,   (CREATE_FAILED,)),
    Row("CT0304", S.CREATING,        CreateFailed,      S.CREATING_AGAIN,  back_off,               may_try_again,      (CREATE_FAILED.quiet(),)),
    Row("CT0305", S.CREATING,        CreateFailed,      S.REMOVING,        fail_create_and_remove, None,               (CREATE_FAILED, GO)),
    Row("CT0306", S.CREATING,        DeadlinePassed,    S.REMOVING,        fail_create_and_remove, None,               (CREATE_FAILED, GO), START),
    Row("CT0307", S.CREATING,        DeadlinePassed,    S.REMOVING,        fail_create_and_remove, None,               (CREATE_FAILED, GO), COMMAND),
    Row("CT0308", S.CREATING,        StopWanted,        S.REMOVING,        remove,                 None,               (GO,)),
    Row("CT0309", S.CREATING,        TerminateWanted,   S.REMOVING,        remove,                 None,               (GO,)),

    Row("CT0401", S.CREATING_AGAIN,  DeadlinePassed,    S.CREATING,        create,                 None,               (CREATE,), BACKOFF),
    Row("CT0402", S.CREATING_AGAIN,  DeadlinePassed,    S.REMOVING,        fail_create_and_remove, None,               (CREATE_FAILED, GO), START),
    Row("CT0403", S.CREATING_AGAIN,  DeadlinePassed,    S.REMOVING,        fail_create_and_remove, None,               (CREATE_FAILED, GO), COMMAND),
    Row("CT0404", S.CREATING_AGAIN,  StopWanted,        S.REMOVING,        remove,                 None,               (GO,)),
    Row("CT0405", S.CREATING_AGAIN,  TerminateWanted,   S.REMOVING,        remove,                 None,               (GO,)),

    Row("CT0501", S.ATTACHING,       ContainerAttached, S.STARTING,        start,                  None,               (BEGIN,)),
    Row("CT0502", S.ATTACHING,       AttachFailed,      S.ATTACHING_AGAIN, back_off_attach,        may_try_again,      (ATTACH_FAILED.quiet(),)),
    Row("CT0503", S.ATTACHING,       AttachFailed,      S.REMOVING,        fail_attach_and_remove, None,               (ATTACH_FAILED, GO)),
    Row("CT0504", S.ATTACHING,       DeadlinePassed,    S.REMOVING,        fail_attach_and_remove, None,               (ATTACH_FAILED, GO), START),
    Row("CT0505", S.ATTACHING,       DeadlinePassed,    S.REMOVING,        fail_attach_and_remove, None,               (ATTACH_FAILED, GO), COMMAND),
    Row("CT0506", S.ATTACHING,       StopWanted,        S.REMOVING,        remove,                 None,               (GO,)),
    Row("CT0507", S.ATTACHING,       TerminateWanted,   S.REMOVING,        remove,                 None,               (GO,)),

    # If the answer got lost, the engine has ended stdin with the lost stream (StdinOnce): only a new container reads again.
    Row("CT0601", S.ATTACHING_AGAIN, DeadlinePassed,    S.REPLACING,       remove,                 None,               (GO,), BACKOFF),
    Row("CT0602", S.ATTACHING_AGAIN, DeadlinePassed,    S.REMOVING,        fail_attach_and_remove, None,               (ATTACH_FAILED, GO), START),
    Row("CT0603", S.ATTACHING_AGAIN, DeadlinePassed,    S.REMOVING,        fail_attach_and_remove, None,               (ATTACH_FAILED, GO), COMMAND),
    Row("CT0604", S.ATTACHING_AGAIN, StopWanted,        S.REMOVING,        remove,                 None,               (GO,)),
    Row("CT0605", S.ATTACHING_AGAIN, TerminateWanted,   S.REMOVING,        remove,                 None,               (GO,)),

    Row("CT0701", S.STARTING,        ContainerStarted,  S.RUNNING,         land,                   None,               (LANDED,)),
    Row("CT0702", S.STARTING,        StartFailed,       S.STARTING_AGAIN,  back_off,               may_try_again,      (START_FAILED.quiet(),)),
    Row("CT0703", S.STARTING,        StartFailed,       S.REMOVING,        fail_start_and_remove,  None,               (START_FAILED, GO)),
    Row("CT0704", S.STARTING,        DeadlinePassed,    S.REMOVING,        fail_start_and_remove,  None,               (START_FAILED, GO), START),
    Row("CT0705", S.STARTING,        DeadlinePassed,    S.REMOVING,        fail_start_and_remove,  None,               (START_FAILED, GO), COMMAND),
    Row("CT0706", S.STARTING,        StopWanted,        S.REMOVING,        remove,                 None,               (GO,)),
    Row("CT0707", S.STARTING,        TerminateWanted,   S.REMOVING,        remove,                 None,               (GO,)),

    Row("CT0801", S.STARTING_AGAIN,  DeadlinePassed,    S.STARTING,        start,                  None,               (BEGIN,), BACKOFF),
    Row("CT0802", S.STARTING_AGAIN,  DeadlinePassed,    S.REMOVING,        fail_start_and_remove,  None,               (START_FAILED, GO), START),
    Row("CT0803", S.STARTING_AGAIN,  DeadlinePassed,    S.REMOVING,        fail_start_and_remove,  None,               (START_FAILED, GO), COMMAND),
    Row("CT0804", S.STARTING_AGAIN,  StopWanted,        S.REMOVING,        remove,                 None,               (GO,)),
    Row("CT0805", S.STARTING_AGAIN,  TerminateWanted,   S.REMOVING,        remove,                 None,               (GO,)),

    Row("CT0901", S.RUNNING,         ContainerExited,   S.REMOVING,        exited,                 None,               (GO,)),
    Row("CT0902", S.RUNNING,         WaitFailed,        S.REMOVING,        lost,                   nothing_is_left,    (GO,)),
    Row("CT0903", S.RUNNING,         WaitFailed,        S.UNWATCHED,       back_off,               None,               (UNWATCHED,)),
    Row("CT0904", S.RUNNING,         StopWanted,        S.REMOVING,        remove,                 None,               (GO,)),
    Row("CT0905", S.RUNNING,         TerminateWanted,   S.STOPPING,        terminate,              None,               (HALT,)),

    Row("CT1001", S.UNWATCHED,       DeadlinePassed,    S.RUNNING,         watch,                  deadline=BACKOFF),
    Row("CT1002", S.UNWATCHED,       StopWanted,        S.REMOVING,        remove,                 None,               (GO,)),
    Row("CT1003", S.UNWATCHED,       TerminateWanted,   S.STOPPING,        terminate,              None,               (HALT,)),

    Row("CT1101", S.STOPPING,        ContainerExited,   S.REMOVING,        exited,                 None,               (GO,)),
    Row("CT1102", S.STOPPING,        WaitFailed,        S.REMOVING,        lost,                   None,               (GO,)),
    Row("CT1103", S.STOPPING,        ContainerKilled,   None),  # the signal is delivered; its end is what we wait for
    Row("CT1104", S.STOPPING,        KillFailed,        S.REMOVING,        remove,                 None,               (HALT_FAILED, GO)),
    Row("CT1105", S.STOPPING,        DeadlinePassed,    S.REMOVING,        remove,                 None,               (GO,), STOP),
    Row("CT1106", S.STOPPING,        StopWanted,        S.REMOVING,        remove,                 None,               (GO,)),
    Row("CT1107", S.STOPPING,        TerminateWanted,   None),  # asked twice

    Row("CT1201", S.REMOVING,        ContainerRemoved,  S.REMOVED,         None,                   None,               (GONE,)),
    Row("CT1202", S.REMOVING,        RemoveFailed,      S.REMOVING_AGAIN,  back_off,               None,               (GO_FAILED.quiet(),)),
    Row("CT1203", S.REMOVING,        DeadlinePassed,    None,              None,                   None,               (GO_FAILED,), REMOVE),
    Row("CT1204", S.REMOVING,        ContainerCreated,  None),  # late answers; the removal is queued behind them
    Row("CT1205", S.REMOVING,        CreateFailed,      None),
    Row("CT1206", S.REMOVING,        ContainerAttached, None),
    Row("CT1207", S.REMOVING,        AttachFailed,      None),
    Row("CT1208", S.REMOVING,        ContainerStarted,  None),
    Row("CT1209", S.REMOVING,        StartFailed,       None),
    Row("CT1210", S.REMOVING,        ContainerExited,   None),
    Row("CT1211", S.REMOVING,        WaitFailed,        None),
    Row("CT1212", S.REMOVING,        ContainerKilled,   None),
    Row("CT1213", S.REMOVING,        KillFailed,        None),
    Row("CT1214", S.REMOVING,        StopWanted,        None),
    Row("CT1215", S.REMOVING,        TerminateWanted,   None),

    Row("CT1301", S.REMOVING_AGAIN,  DeadlinePassed,    S.REMOVING,        remove,                 deadline=BACKOFF),
    Row("CT1302", S.REMOVING_AGAIN,  DeadlinePassed,    None,              None,                   None,               (GO_FAILED,), REMOVE),
    Row("CT1303", S.REMOVING_AGAIN,  ContainerExited,   None),
    Row("CT1304", S.REMOVING_AGAIN,  WaitFailed,        None),
    Row("CT1305", S.REMOVING_AGAIN,  StopWanted,        None),
    Row("CT1306", S.REMOVING_AGAIN,  TerminateWanted,   None),

    Row("CT1401", S.REPLACING,       ContainerRemoved,  S.CREATING,        create,                 None,               (CREATE,)),
    Row("CT1402", S.REPLACING,       RemoveFailed,      S.ATTACHING_AGAIN, back_off_attach,        may_try_again,      (GO_FAILED.quiet(),)),
    Row("CT1403", S.REPLACING,       RemoveFailed,      S.REMOVING,        fail_attach_and_remove, None,               (ATTACH_FAILED, GO)),
    Row("CT1404", S.REPLACING,       DeadlinePassed,    S.REMOVING,        fail_attach,            None,               (ATTACH_FAILED,), START),
    Row("CT1405", S.REPLACING,       DeadlinePassed,    S.REMOVING,        fail_attach,            None,               (ATTACH_FAILED,), COMMAND),
    Row("CT1406", S.REPLACING,       StopWanted,        S.REMOVING),  # which is under way
    Row("CT1407", S.REPLACING,       TerminateWanted,   S.REMOVING),
)
# fmt: on

CONTAINER = Kind("container", S, S.ABSENT, ROWS, DEADLINES, final=(S.REMOVED, S.FAILED), cell=ContainerCell)
