"""The rows of the container machine. What they do and ask stands in `container`."""

from fsm import container as do
from fsm.container import COMMAND, LINK, REMOVE, START, STOP, ContainerCell
from fsm.kernel import Kind, Row
from fsm.retry import BACKOFF, back_off, back_off_briefly, may_try_again
from protocol import codes
from protocol.base import DeadlinePassed
from protocol.connection import TerminateWanted
from protocol.container import (
    AgentGreeted,
    AttachFailed,
    ContainerAttached,
    ContainerClaimed,
    ContainerCreated,
    ContainerExited,
    ContainerKilled,
    ContainerRemoved,
    ContainerRenamed,
    ContainerStarted,
    ContainerWanted,
    CreateFailed,
    KillFailed,
    LinkLost,
    OrphanFound,
    RemoveFailed,
    RenameFailed,
    StartFailed,
    StopWanted,
    WaitFailed,
)
from protocol.container import ContainerState as S
from protocol.image import ImageFailed, ImagePullBegan, ImageReady, ImageRemembered, PullProgressed

ATTACHING = (S.ATTACHING, S.ATTACHING_AGAIN, S.REPLACING)
STARTING = (S.CREATING, S.CREATING_AGAIN, *ATTACHING, S.STARTING, S.STARTING_AGAIN)
DEADLINES = {
    START: (S.RESOLVING, S.PULLING, *STARTING, S.LINKING),
    COMMAND: (*STARTING, S.LINKING),
    STOP: (S.STOPPING,),
    LINK: (S.UNLINKED,),
    REMOVE: (S.REMOVING, S.REMOVING_AGAIN),
    BACKOFF: (S.CREATING_AGAIN, S.ATTACHING_AGAIN, S.STARTING_AGAIN, S.UNWATCHED, S.REMOVING_AGAIN),
}

LOOK_FAILED, PULL_FAILED = codes.DOCKER_IMAGE_LISTING_FAILED, codes.DOCKER_IMAGE_PULL_FAILED
CREATE, CREATE_FAILED = codes.DOCKER_CONTAINER_CREATE, codes.DOCKER_CONTAINER_CREATE_FAILED
ATTACH, ATTACH_FAILED = codes.DOCKER_CONTAINER_ATTACH, codes.DOCKER_CONTAINER_ATTACH_FAILED
BEGIN, START_FAILED = codes.DOCKER_CONTAINER_START, codes.DOCKER_CONTAINER_START_FAILED
LANDED = codes.MOORAGE_CONTAINER_LANDED
UNWATCHED = codes.MOORAGE_CONTAINER_UNWATCHED
HELLO, MUTE, UNLINKED = codes.MOORAGE_AGENT_AWAITED, codes.MOORAGE_AGENT_FAILED, codes.MOORAGE_LINK_LOST
HALT, HALT_FAILED = codes.DOCKER_CONTAINER_STOP, codes.DOCKER_CONTAINER_STOP_FAILED
GO, GO_FAILED = codes.DOCKER_CONTAINER_REMOVE, codes.DOCKER_CONTAINER_REMOVE_FAILED
GONE = codes.DOCKER_CONTAINER_REMOVE_SUCCESSFUL
NAME_KEPT = codes.MOORAGE_RENAME_FAILED
ORPHAN, MAY_COME = codes.MOORAGE_ORPHAN_FOUND, codes.MOORAGE_ORPHAN_EXPECTED

# fmt: off
ROWS = (
    #   id        in state           on                 to                 do                         when                 says
    Row("CT0101", S.ABSENT,          ContainerWanted,   S.RESOLVING,       do.want_image),
    Row("CT0102", S.ABSENT,          OrphanFound,       S.REMOVING,        do.adopt,                  None,                (ORPHAN, GO)),

    Row("CT0201", S.RESOLVING,       ImageReady,        S.CREATING,        do.create,                 None,                (CREATE,)),
    Row("CT0202", S.RESOLVING,       ImageFailed,       S.FAILED,          do.fail_image),
    Row("CT0203", S.RESOLVING,       ImagePullBegan,    S.PULLING),
    Row("CT0204", S.RESOLVING,       DeadlinePassed,    S.FAILED,          do.expire_look,            None,                (LOOK_FAILED,),      START),
    Row("CT0205", S.RESOLVING,       StopWanted,        S.REMOVED,         do.leave_image),  # nothing was made
    Row("CT0206", S.RESOLVING,       TerminateWanted,   S.REMOVED,         do.leave_image),
    Row("CT0207", S.RESOLVING,       ImageRemembered,   S.CREATING,        do.create_unseen,          None,                (CREATE,)),

    Row("CT0301", S.CREATING,        ContainerCreated,  S.ATTACHING,       do.attach,                 do.stdio_is_wanted,  (ATTACH,)),
    Row("CT0302", S.CREATING,        ContainerCreated,  S.STARTING,        do.start,                  None,                (BEGIN,)),
    Row("CT0310", S.CREATING,        CreateFailed,      S.RESOLVING,       do.look_again,             do.image_is_gone,    (CREATE_FAILED.quiet(),)),
    Row("CT0303", S.CREATING,        CreateFailed,      S.FAILED,          do.fail_create,            do.nothing_was_made, (CREATE_FAILED,)),
    Row("CT0304", S.CREATING,        CreateFailed,      S.CREATING_AGAIN,  do.back_off_create,        may_try_again,       (CREATE_FAILED.quiet(),)),
    Row("CT0305", S.CREATING,        CreateFailed,      S.REMOVING,        do.fail_create_and_remove, None,                (CREATE_FAILED, GO)),
    Row("CT0306", S.CREATING,        DeadlinePassed,    S.REMOVING,        do.fail_create_and_remove, None,                (CREATE_FAILED, GO), START),
    Row("CT0307", S.CREATING,        DeadlinePassed,    S.REMOVING,        do.fail_create_and_remove, None,                (CREATE_FAILED, GO), COMMAND),
    Row("CT0308", S.CREATING,        StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT0309", S.CREATING,        TerminateWanted,   S.REMOVING,        do.remove,                 None,                (GO,)),

    Row("CT0401", S.CREATING_AGAIN,  DeadlinePassed,    S.CREATING,        do.create,                 None,                (CREATE,),           BACKOFF),
    Row("CT0402", S.CREATING_AGAIN,  DeadlinePassed,    S.REMOVING,        do.fail_create_and_remove, None,                (CREATE_FAILED, GO), START),
    Row("CT0403", S.CREATING_AGAIN,  DeadlinePassed,    S.REMOVING,        do.fail_create_and_remove, None,                (CREATE_FAILED, GO), COMMAND),
    Row("CT0404", S.CREATING_AGAIN,  StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT0405", S.CREATING_AGAIN,  TerminateWanted,   S.REMOVING,        do.remove,                 None,                (GO,)),

    Row("CT0501", S.ATTACHING,       ContainerAttached, S.STARTING,        do.start,                  None,                (BEGIN,)),
    Row("CT0502", S.ATTACHING,       AttachFailed,      S.ATTACHING_AGAIN, do.back_off_attach,        may_try_again,       (ATTACH_FAILED.quiet(),)),
    Row("CT0503", S.ATTACHING,       AttachFailed,      S.REMOVING,        do.fail_attach_and_remove, None,                (ATTACH_FAILED, GO)),
    Row("CT0504", S.ATTACHING,       DeadlinePassed,    S.REMOVING,        do.fail_attach_and_remove, None,                (ATTACH_FAILED, GO), START),
    Row("CT0505", S.ATTACHING,       DeadlinePassed,    S.REMOVING,        do.fail_attach_and_remove, None,                (ATTACH_FAILED, GO), COMMAND),
    Row("CT0506", S.ATTACHING,       StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT0507", S.ATTACHING,       TerminateWanted,   S.REMOVING,        do.remove,                 None,                (GO,)),

    # If the answer got lost, the engine has ended stdin with the lost stream (StdinOnce): only a new container reads again.
    Row("CT0601", S.ATTACHING_AGAIN, DeadlinePassed,    S.REPLACING,       do.remove,                 None,                (GO,),               BACKOFF),
    Row("CT0602", S.ATTACHING_AGAIN, DeadlinePassed,    S.REMOVING,        do.fail_attach_and_remove, None,                (ATTACH_FAILED, GO), START),
    Row("CT0603", S.ATTACHING_AGAIN, DeadlinePassed,    S.REMOVING,        do.fail_attach_and_remove, None,                (ATTACH_FAILED, GO), COMMAND),
    Row("CT0604", S.ATTACHING_AGAIN, StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT0605", S.ATTACHING_AGAIN, TerminateWanted,   S.REMOVING,        do.remove,                 None,                (GO,)),

    Row("CT0708", S.STARTING,        ContainerStarted,  S.LINKING,         do.await_agent,            do.agent_is_in_it,   (HELLO,)),
    Row("CT0701", S.STARTING,        ContainerStarted,  S.RUNNING,         do.land,                   None,                (LANDED,)),
    Row("CT0702", S.STARTING,        StartFailed,       S.STARTING_AGAIN,  back_off,                  may_try_again,       (START_FAILED.quiet(),)),
    Row("CT0703", S.STARTING,        StartFailed,       S.REMOVING,        do.fail_start_and_remove,  None,                (START_FAILED, GO)),
    Row("CT0704", S.STARTING,        DeadlinePassed,    S.REMOVING,        do.fail_start_and_remove,  None,                (START_FAILED, GO),  START),
    Row("CT0705", S.STARTING,        DeadlinePassed,    S.REMOVING,        do.fail_start_and_remove,  None,                (START_FAILED, GO),  COMMAND),
    Row("CT0706", S.STARTING,        StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT0707", S.STARTING,        TerminateWanted,   S.REMOVING,        do.remove,                 None,                (GO,)),

    Row("CT0801", S.STARTING_AGAIN,  DeadlinePassed,    S.STARTING,        do.start_again,            None,                (BEGIN,),            BACKOFF),
    Row("CT0802", S.STARTING_AGAIN,  DeadlinePassed,    S.REMOVING,        do.fail_start_and_remove,  None,                (START_FAILED, GO),  START),
    Row("CT0803", S.STARTING_AGAIN,  DeadlinePassed,    S.REMOVING,        do.fail_start_and_remove,  None,                (START_FAILED, GO),  COMMAND),
    Row("CT0804", S.STARTING_AGAIN,  StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT0805", S.STARTING_AGAIN,  TerminateWanted,   S.REMOVING,        do.remove,                 None,                (GO,)),

    Row("CT0901", S.RUNNING,         ContainerExited,   S.REMOVING,        do.exited,                 None,                (GO,)),
    Row("CT0902", S.RUNNING,         WaitFailed,        S.REMOVING,        do.lost,                   do.nothing_is_left,  (GO,)),
    Row("CT0911", S.RUNNING,         WaitFailed,        None,              None,                      do.agent_is_in_it),  # the link tells
    Row("CT0903", S.RUNNING,         WaitFailed,        S.UNWATCHED,       back_off_briefly,          None,                (UNWATCHED,)),
    Row("CT0904", S.RUNNING,         StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT0907", S.RUNNING,         TerminateWanted,   S.STOPPING,        None,                      do.agent_is_in_it,   (HALT,)),  # its sessions signal their programs
    Row("CT0905", S.RUNNING,         TerminateWanted,   S.STOPPING,        do.terminate,              None,                (HALT,)),
    Row("CT0906", S.RUNNING,         LinkLost,          S.UNLINKED,        do.watch,                  None,                (UNLINKED,)),
    Row("CT0908", S.RUNNING,         ContainerClaimed,  None,              do.change_hands),
    Row("CT0909", S.RUNNING,         ContainerRenamed,  None),
    Row("CT0910", S.RUNNING,         RenameFailed,      None,              None,                      None,                (NAME_KEPT,)),

    Row("CT1001", S.UNWATCHED,       DeadlinePassed,    S.RUNNING,         do.watch,                  deadline=BACKOFF),
    Row("CT1002", S.UNWATCHED,       StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT1003", S.UNWATCHED,       TerminateWanted,   S.STOPPING,        do.terminate,              None,                (HALT,)),
    Row("CT1006", S.UNWATCHED,       ContainerClaimed,  None,              do.change_hands),
    Row("CT1007", S.UNWATCHED,       ContainerRenamed,  None),
    Row("CT1008", S.UNWATCHED,       RenameFailed,      None,              None,                      None,                (NAME_KEPT,)),

    Row("CT1101", S.STOPPING,        ContainerExited,   S.REMOVING,        do.exited,                 None,                (GO,)),
    Row("CT1102", S.STOPPING,        WaitFailed,        S.REMOVING,        do.lost,                   None,                (GO,)),
    Row("CT1103", S.STOPPING,        ContainerKilled,   None),  # the signal is delivered; its end is what we wait for
    Row("CT1104", S.STOPPING,        KillFailed,        S.REMOVING,        do.remove,                 None,                (HALT_FAILED, GO)),
    Row("CT1105", S.STOPPING,        DeadlinePassed,    S.REMOVING,        do.remove,                 None,                (GO,),               STOP),
    Row("CT1106", S.STOPPING,        StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT1107", S.STOPPING,        TerminateWanted,   None),  # asked twice
    Row("CT1108", S.STOPPING,        LinkLost,          None,              do.watch),
    Row("CT1109", S.STOPPING,        ContainerRenamed,  None),
    Row("CT1110", S.STOPPING,        RenameFailed,      None,              None,                      None,                (NAME_KEPT,)),
    Row("CT1111", S.STOPPING,        ContainerClaimed,  None,              do.disappoint),

    Row("CT1221", S.REMOVING,        ContainerRemoved,  S.REMOVED,         do.expect_orphan,          do.it_may_still_come, (GONE, MAY_COME)),
    Row("CT1201", S.REMOVING,        ContainerRemoved,  S.REMOVED,         None,                      None,                (GONE,)),
    Row("CT1202", S.REMOVING,        RemoveFailed,      S.REMOVING_AGAIN,  back_off_briefly,          None,                (GO_FAILED.quiet(),)),
    Row("CT1203", S.REMOVING,        DeadlinePassed,    None,              None,                      None,                (GO_FAILED,),        REMOVE),
    Row("CT1204", S.REMOVING,        ContainerCreated,  None,              do.note_created),  # late answers; the removal is queued behind them
    Row("CT1205", S.REMOVING,        CreateFailed,      None,              do.note_doubt),
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
    Row("CT1216", S.REMOVING,        AgentGreeted,      None),
    Row("CT1217", S.REMOVING,        LinkLost,          None),
    Row("CT1218", S.REMOVING,        ContainerClaimed,  None,              do.disappoint),
    Row("CT1219", S.REMOVING,        ContainerRenamed,  None),
    Row("CT1220", S.REMOVING,        RenameFailed,      None),

    Row("CT1301", S.REMOVING_AGAIN,  DeadlinePassed,    S.REMOVING,        do.remove,                 deadline=BACKOFF),
    Row("CT1302", S.REMOVING_AGAIN,  DeadlinePassed,    None,              None,                      None,                (GO_FAILED,),        REMOVE),
    Row("CT1303", S.REMOVING_AGAIN,  ContainerExited,   None),
    Row("CT1304", S.REMOVING_AGAIN,  WaitFailed,        None),
    Row("CT1305", S.REMOVING_AGAIN,  StopWanted,        None),
    Row("CT1306", S.REMOVING_AGAIN,  TerminateWanted,   None),
    Row("CT1307", S.REMOVING_AGAIN,  AgentGreeted,      None),
    Row("CT1308", S.REMOVING_AGAIN,  LinkLost,          None),
    Row("CT1309", S.REMOVING_AGAIN,  ContainerClaimed,  None,              do.disappoint),

    Row("CT1401", S.LINKING,         AgentGreeted,      S.RUNNING,         do.land_served,            None,                (LANDED,)),
    Row("CT1402", S.LINKING,         LinkLost,          S.REMOVING,        do.fail_agent_and_remove,  None,                (MUTE, GO)),
    Row("CT1403", S.LINKING,         ContainerExited,   S.REMOVING,        do.fail_agent_and_remove,  None,                (MUTE, GO)),
    Row("CT1404", S.LINKING,         WaitFailed,        S.REMOVING,        do.fail_agent_and_remove,  None,                (MUTE, GO)),
    Row("CT1405", S.LINKING,         DeadlinePassed,    S.REMOVING,        do.fail_agent_and_remove,  None,                (MUTE, GO),          START),
    Row("CT1406", S.LINKING,         DeadlinePassed,    S.REMOVING,        do.fail_agent_and_remove,  None,                (MUTE, GO),          COMMAND),
    Row("CT1407", S.LINKING,         StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT1408", S.LINKING,         TerminateWanted,   S.REMOVING,        do.remove,                 None,                (GO,)),

    Row("CT1501", S.UNLINKED,        ContainerExited,   S.REMOVING,        do.exited,                 None,                (GO,)),
    Row("CT1502", S.UNLINKED,        WaitFailed,        S.REMOVING,        do.lost,                   None,                (GO,)),
    Row("CT1503", S.UNLINKED,        DeadlinePassed,    S.REMOVING,        do.lost,                   None,                (GO,),               LINK),
    Row("CT1504", S.UNLINKED,        StopWanted,        S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT1505", S.UNLINKED,        TerminateWanted,   S.REMOVING,        do.remove,                 None,                (GO,)),
    Row("CT1506", S.UNLINKED,        ContainerClaimed,  None,              do.disappoint),
    Row("CT1507", S.UNLINKED,        ContainerRenamed,  None),
    Row("CT1508", S.UNLINKED,        RenameFailed,      None,              None,                      None,                (NAME_KEPT,)),

    Row("CT1601", S.REPLACING,       ContainerRemoved,  S.CREATING,        do.create_anew,            None,                (CREATE,)),
    Row("CT1602", S.REPLACING,       RemoveFailed,      S.ATTACHING_AGAIN, do.back_off_attach,        may_try_again,       (GO_FAILED.quiet(),)),
    Row("CT1603", S.REPLACING,       RemoveFailed,      S.REMOVING,        do.fail_attach_and_remove, None,                (ATTACH_FAILED, GO)),
    Row("CT1604", S.REPLACING,       DeadlinePassed,    S.REMOVING,        do.fail_attach,            None,                (ATTACH_FAILED,),    START),
    Row("CT1605", S.REPLACING,       DeadlinePassed,    S.REMOVING,        do.fail_attach,            None,                (ATTACH_FAILED,),    COMMAND),
    Row("CT1606", S.REPLACING,       StopWanted,        S.REMOVING),  # which is under way
    Row("CT1607", S.REPLACING,       TerminateWanted,   S.REMOVING),

    Row("CT1701", S.PULLING,         ImageReady,        S.CREATING,        do.create,                 None,                (CREATE,)),
    Row("CT1702", S.PULLING,         ImageFailed,       S.FAILED,          do.fail_image),
    Row("CT1703", S.PULLING,         PullProgressed,    None,              do.pass_on),
    Row("CT1704", S.PULLING,         DeadlinePassed,    S.FAILED,          do.expire_pull,            None,                (PULL_FAILED,),      START),
    Row("CT1705", S.PULLING,         StopWanted,        S.REMOVED,         do.leave_image),
    Row("CT1706", S.PULLING,         TerminateWanted,   S.REMOVED,         do.leave_image),
)
# fmt: on

CONTAINER = Kind("container", S, S.ABSENT, ROWS, DEADLINES, final=(S.REMOVED, S.FAILED), cell=ContainerCell)
