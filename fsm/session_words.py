"""The words of a session that does not end by its program: who reads what, and why. Makers: `session`."""

from fsm.retry import last_try
from fsm.session_cell import COMMAND, SessionCell
from protocol import codes
from protocol.base import DeadlinePassed, Event, Fault
from protocol.codes import Code
from protocol.connection import TerminateWanted
from protocol.container import ContainerExited, ContainerFailed
from protocol.session import TellUser

REFUSALS: dict[tuple[str, str], Code] = {
    ("security", "exec"): codes.SECURITY_EXEC_REJECTED,
    ("security", "shell"): codes.SECURITY_SHELL_REJECTED,
    ("security", "subsystem"): codes.SECURITY_SUBSYSTEM_REJECTED,
    ("dockerrun", "exec"): codes.DOCKERRUN_EXEC_DISABLED,
    **dict.fromkeys((("environment", "exec"), ("environment", "subsystem")), codes.SECURITY_EXEC_FAILED_SETENV),
    **dict.fromkeys((("limits", "exec"), ("limits", "shell"), ("limits", "subsystem")), codes.MOORAGE_LIMIT_CONTAINERS),
}


def last_words(event: TerminateWanted, code: Code) -> TellUser:
    """The limit's own, or those of a server that ends."""
    return TellUser(text=event.why, code=event.by) if event.by else TellUser(text=code.user, code=code.name)


def why_of(cell: SessionCell, event: Event) -> str:
    if isinstance(event, Fault):
        return event.why
    assert isinstance(event, DeadlinePassed)
    key = "docker.timeouts.commandStart" if event.name == COMMAND else "the time allowed"
    return f"it took longer than {key} ({cell.seconds[event.name]:g} s){last_try(cell)}"


def death(event: ContainerExited) -> ContainerFailed:
    oom = ", out of memory" if event.oom else ""
    why = codes.MOORAGE_CONTAINER_DIED.user.format(status=event.status, oom=oom)
    return ContainerFailed(code=codes.MOORAGE_CONTAINER_DIED.name, why=why)
