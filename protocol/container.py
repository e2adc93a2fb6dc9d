"""What is said to the container machine, and what it asks for."""

from enum import Enum
from typing import Literal

from protocol.base import Effect, Event, Fault
from protocol.settings import ExecutionMode, ImagePullPolicy

# How the guest agent in it is spoken to: not at all (programs are the engine's execs, or the container's own), over the
# container's attached stdio, or over a Unix socket of its own.
Link = Literal["none", "attach", "socket"]
TerminalOpener = Literal["agent", "host"]  # who opens those of served programs


class ContainerState(Enum):
    ABSENT = "absent"
    RESOLVING = "resolving"
    CREATING = "creating"
    CREATING_AGAIN = "creating_again"
    ATTACHING = "attaching"
    ATTACHING_AGAIN = "attaching_again"
    STARTING = "starting"
    STARTING_AGAIN = "starting_again"
    LINKING = "linking"
    RUNNING = "running"
    UNWATCHED = "unwatched"
    UNLINKED = "unlinked"
    STOPPING = "stopping"
    REMOVING = "removing"
    REMOVING_AGAIN = "removing_again"
    REMOVED = "removed"
    FAILED = "failed"
    REPLACING = "replacing"
    PULLING = "pulling"


class ContainerWanted(Event, frozen=True, kw_only=True, tag="container_wanted"):
    """`owner` (a connection or session actor) wants this container. `seconds` are the deadlines by name."""

    container: str  # this actor's id
    owner: str
    image: str
    platform: str
    policy: ImagePullPolicy
    mode: ExecutionMode
    seconds: dict[str, float]
    link: Link = "none"


class OrphanFound(Event, frozen=True, kw_only=True, tag="orphan_found"):
    """A container of ours without an actor: left by a crash, found by the sweep. `id` is the engine's, if it is known.

    It goes by id: a rename that the dead daemon had asked for may still take the name away.
    """

    id: str = ""
    container: str
    name: str
    why: str
    seconds: dict[str, float]


class StopWanted(Event, frozen=True, kw_only=True, tag="stop_wanted"):
    """The owner is done with it: remove it at once."""

    why: str


class ContainerCreated(Event, frozen=True, kw_only=True, tag="container_created"):
    id: str


class CreateFailed(Fault, frozen=True, kw_only=True, tag="create_failed"): ...


class ContainerAttached(Event, frozen=True, kw_only=True, tag="container_attached"): ...


class AttachFailed(Fault, frozen=True, kw_only=True, tag="attach_failed"): ...


class ContainerStarted(Event, frozen=True, kw_only=True, tag="container_started"): ...


class StartFailed(Fault, frozen=True, kw_only=True, tag="start_failed"): ...


class AgentGreeted(Event, frozen=True, kw_only=True, tag="agent_greeted"):
    """The guest agent has said hello: programs can be started."""


class LinkLost(Event, frozen=True, kw_only=True, tag="link_lost"):
    """The link to the guest agent is gone. What it ran is going too, and so, as a rule, is the container."""

    why: str


class ContainerClaimed(Event, frozen=True, kw_only=True, tag="container_claimed"):
    """It was a spare and is `owner`'s now, under the name `container`."""

    owner: str
    container: str


class ContainerRenamed(Event, frozen=True, kw_only=True, tag="container_renamed"): ...


class RenameFailed(Fault, frozen=True, kw_only=True, tag="rename_failed"): ...


class ContainerExited(Event, frozen=True, kw_only=True, tag="container_exited"):
    """It runs no more. Also told on to its owner."""

    status: int
    oom: bool = False


class WaitFailed(Fault, frozen=True, kw_only=True, tag="wait_failed"):
    """The engine no longer tells us when it ends (not_found: there is nothing left to end)."""


class ContainerKilled(Event, frozen=True, kw_only=True, tag="container_killed"):
    """The signal was delivered."""


class KillFailed(Fault, frozen=True, kw_only=True, tag="kill_failed"): ...


class ContainerRemoved(Event, frozen=True, kw_only=True, tag="container_removed"):
    """The engine confirms that it does not know it any more."""


class RemoveFailed(Fault, frozen=True, kw_only=True, tag="remove_failed"): ...


class ContainerLanded(Event, frozen=True, kw_only=True, tag="container_landed"):
    """To the owner (and by a connection to its sessions): it runs. `id` is the engine's.

    `served`: a guest agent starts programs in it; the container actor has its link.
    """

    container: str
    id: str
    served: bool = False


class ContainerFailed(Event, frozen=True, kw_only=True, tag="container_failed"):
    """To the owner (and by a connection to its sessions): there will be none. `why` is a sentence for the user."""

    code: str
    why: str


class ContainerProgressed(Event, frozen=True, kw_only=True, tag="container_progressed"):
    """To the owner: what is being waited for, a line for people."""

    line: str


class WantImage(Effect, frozen=True, kw_only=True, tag="want_image"):
    """Ask the living image actor for this reference and platform, or make one."""

    reference: str
    platform: str
    policy: ImagePullPolicy


class ForgetImage(Effect, frozen=True, kw_only=True, tag="forget_image"):
    """The engine has it no more, whatever was remembered."""

    reference: str


class LeaveImage(Effect, frozen=True, kw_only=True, tag="leave_image"):
    """Tell the image actor that we wait no more."""


class CreateContainer(Effect, frozen=True, kw_only=True, tag="create_container"):
    """From the order that its owner left with this actor."""


class AttachContainer(Effect, frozen=True, kw_only=True, tag="attach_container"):
    """Join its stdio to the owner's channel; before it starts, so that nothing it says is lost."""

    id: str


class StartContainer(Effect, frozen=True, kw_only=True, tag="start_container"):
    """`again`: an earlier answer may have been lost. What has run already is not run a second time."""

    id: str
    again: bool = False


class AwaitAgent(Effect, frozen=True, kw_only=True, tag="await_agent"):
    """`AgentGreeted` when it has said hello, or has already; `LinkLost` whenever the link is gone."""


class AwaitExit(Effect, frozen=True, kw_only=True, tag="await_exit"):
    """Beside the other orders: `ContainerExited` whenever it ends."""

    id: str


class LeaveExit(Effect, frozen=True, kw_only=True, tag="leave_exit"):
    """`AwaitExit` is let go of, without an outcome."""


class KillContainer(Effect, frozen=True, kw_only=True, tag="kill_container"):
    id: str
    signal: str


class RenameContainer(Effect, frozen=True, kw_only=True, tag="rename_container"):
    id: str
    name: str


class RemoveContainer(Effect, frozen=True, kw_only=True, tag="remove_container"):
    """By name and token, whether or not the engine ever told us an id."""


class ExpectOrphan(Effect, frozen=True, kw_only=True, tag="expect_orphan"):
    """The engine may make it yet: let the sweep look out for it."""


OUTCOMES: dict[type[Effect], tuple[type[Event], type[Fault]]] = {
    CreateContainer: (ContainerCreated, CreateFailed),
    AttachContainer: (ContainerAttached, AttachFailed),
    StartContainer: (ContainerStarted, StartFailed),
    AwaitExit: (ContainerExited, WaitFailed),
    KillContainer: (ContainerKilled, KillFailed),
    RenameContainer: (ContainerRenamed, RenameFailed),
    RemoveContainer: (ContainerRemoved, RemoveFailed),
}
