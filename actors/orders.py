"""From settings and a session's wishes to what the engine is asked for. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from actors.ports import ContainerOrder, Vault
from protocol.base import Size
from protocol.hardening import hardened
from protocol.session import Program
from protocol.settings import IDLE_COMMAND, Docker, Execution, Settings

SHELL = "/bin/sh"
# Linux takes at most 128 KiB for one argument of execve (MAX_ARG_STRLEN), the terminating NUL included.
ARGUMENT_BYTES_MAX = 128 * 1024 - 1
PART_BYTES = 96 * 1024
OWN_PROGRAMS = ("Entrypoint", "Healthcheck")


def shell_argv(command: bytes) -> list[str]:
    """`sh -c COMMAND`, unsplit. What one argument cannot carry goes another way to the same shell.

    The engine's API is JSON, so bytes that are not UTF-8 travel as printf escapes; longer than the kernel's limit for
    one argument, it travels in parts. Both are put together by `eval` in the shell that would have run it anyway.
    """
    try:
        text = command.decode()
    except UnicodeDecodeError:
        text = "".join(chr(byte) if _is_plain(byte) else f"\\{byte:03o}" for byte in command)
        if len(text) <= ARGUMENT_BYTES_MAX:
            return [SHELL, "-c", 'eval "$(printf "$1")"', "sh", text]
        parts = _parts(text, escapes=True)
        return [SHELL, "-c", f'eval "$(printf "{_dollars(len(parts))}")"', "sh", *parts]
    if len(command) <= ARGUMENT_BYTES_MAX:
        return [SHELL, "-c", text]
    parts = _parts(text, escapes=False)
    return [SHELL, "-c", f'eval "{_dollars(len(parts))}"', "sh", *parts]


def _is_plain(byte: int) -> bool:
    return 0x20 <= byte < 0x7F and byte not in b"\\%"


def _dollars(count: int) -> str:
    return "".join(f"${{{number}}}" for number in range(1, count + 1))


def _parts(text: str, escapes: bool) -> list[str]:
    """Pieces under the limit in bytes; a printf escape is never cut in two."""
    parts, start = [], 0
    step = PART_BYTES if escapes else PART_BYTES // 4  # a character is at most four bytes
    while start < len(text):
        end = min(start + step, len(text))
        cut = text.rfind("\\", end - 3, end) if escapes and end < len(text) else -1
        end = cut if cut > start else end
        parts.append(text[start:end])
        start = end
    return parts


def program_argv(execution: Execution, program: Program, vault: Vault) -> list[str] | None:
    """What to run. None: the image's own CMD (session mode without a shellCommand)."""
    match program:
        case "exec":
            return shell_argv(vault.command)
        case "subsystem":
            return [execution.subsystems[vault.subsystem]]
        case "shell":
            return list(execution.shell_command) or None


def program_env(execution: Execution, vault: Vault, tty: bool) -> dict[str, str]:
    """What the configuration gives each program, what the client sent, and TERM when it has a terminal."""
    env = {**late_env(execution), **vault.env}
    return {**env, "TERM": vault.term} if tty and vault.term else env


def late_env(execution: Execution) -> dict[str, str]:
    """`container.Env` where it can come with each program as well as with the container, which then may have been made
    for anybody. Not where something runs in the container that is neither a login's program nor ours, nor where a
    variable of the image is taken away."""
    items: Sequence[str] = execution.container.get("Env") or ()
    own = execution.idle_command != IDLE_COMMAND or any(execution.container.get(key) for key in OWN_PROGRAMS)
    if own or not all("=" in item for item in items):
        return {}
    return dict(item.split("=", 1) for item in items)


def may_be_served(execution: Execution) -> bool:
    """By an agent as the container's first program: not when the configuration has put something else there."""
    if execution.transport == "exec" or execution.disable_agent:
        return False
    own = execution.idle_command != IDLE_COMMAND or execution.container.get("Entrypoint") is not None
    return execution.mode == "session" or execution.transport == "served" or not own


def shape(docker: Docker) -> bytes:
    """All of the settings that a waiting container has in it, as a key; what only its later programs need is left out.
    It holds secrets."""
    execution = replace(
        docker.execution, container=_early(docker.execution), shell_command=(), subsystems={}, agent_path="",
        expose_auth_metadata_as_env=False, allow_dangerous=(),
    )  # fmt: skip
    return msgspec.json.encode((execution, docker.timeouts.container_stop), order="sorted")


def ahead(settings: Settings) -> Settings:
    """The settings by which a container is made that nobody has yet: without what comes with each program."""
    execution = replace(settings.docker.execution, container=_early(settings.docker.execution))
    return replace(settings, docker=replace(settings.docker, execution=execution))


def _early(execution: Execution) -> dict[str, Any]:
    """The container without what it is not made with ahead; a list that is empty is as good as none."""
    late = bool(late_env(execution)) or not execution.container.get("Env")
    return {key: value for key, value in execution.container.items() if key != "Env" or not late}


def idle_container(
    execution: Execution, name: str, token: str, image: str, labels: Mapping[str, str]
) -> ContainerOrder:
    """Mode connection: a container that waits while execs run in it.

    The image's ENTRYPOINT would swallow the idle command, so it is cleared unless the configuration sets one.
    """
    entrypoint: Sequence[str] = execution.container.get("Entrypoint") or ()
    return _order(execution, name, token, image, labels, list(execution.idle_command), entrypoint)


def program_container(
    execution: Execution,
    name: str,
    token: str,
    image: str,
    labels: Mapping[str, str],
    command: Sequence[str] | None,
    env: Mapping[str, str],
    tty: bool,
    size: Size | None,
) -> ContainerOrder:
    """Mode session: the program is the container's own, behind the image's ENTRYPOINT as with `docker run`."""
    entrypoint = execution.container.get("Entrypoint")
    return _order(execution, name, token, image, labels, command, entrypoint, env, tty, True, size)


def _order(
    execution: Execution,
    name: str,
    token: str,
    image: str,
    labels: Mapping[str, str],
    command: Sequence[str] | None,
    entrypoint: Sequence[str] | None,
    env: Mapping[str, str] | None = None,
    tty: bool = False,
    stdin: bool = False,
    size: Size | None = None,
) -> ContainerOrder:
    return ContainerOrder(
        name=execution.containername or name,
        token=token,
        image=image,
        container=execution.container,
        host=hardened(execution),
        network=execution.network,
        platform=execution.platform,
        command=command,
        entrypoint=entrypoint,
        env=env or {},
        labels=labels,
        tty=tty,
        stdin=stdin,
        size=size,
    )
