"""What is different here from ContainerSSH, told about one configuration: on purpose, and what to write to keep it.

Not only where the file has a key: what it leaves out has another default here at times, and that is told too.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from protocol.settings import Settings
from protocol.settings_origin import IMAGE
from protocol.settings_types import CONTAINERSSH_IMAGE, GUEST_IMAGE

Paths = frozenset[str]  # of the keys that the file has, in lower case


class Difference(NamedTuple):
    """`applies(settings, paths)`; then `key`: `there`, and `here`."""

    key: str
    there: str
    here: str
    applies: Callable[[Settings, Paths], bool]


def differences(settings: Settings, paths: Paths) -> Iterator[str]:
    """A sentence for each difference that this configuration meets."""
    for key, there, here, applies in DIFFERENCES:
        if applies(settings, paths):
            yield f"{key}: there {there}; here {here}"


def _always(settings: Settings, paths: Paths) -> bool:
    return True


def _given(*keys: str) -> Callable[[Settings, Paths], bool]:
    return lambda settings, paths: any(key.lower() in paths for key in keys)


def _in_mode(mode: str, *absent: str) -> Callable[[Settings, Paths], bool]:
    """In this execution mode, and (if any are named) without these keys."""
    return lambda settings, paths: (
        settings.docker.execution.mode == mode and not any(key.lower() in paths for key in absent)
    )


def _has_no_image(settings: Settings, paths: Paths) -> bool:
    """And is not ContainerSSH's file any more, which keeps ContainerSSH's default."""
    return settings.docker.execution.container.get("Image") == GUEST_IMAGE and IMAGE not in paths


def _keeps_no_image(settings: Settings, paths: Paths) -> bool:
    return settings.backend == "docker" and IMAGE not in paths and not _has_no_image(settings, paths)


def _has_no_image_of_old(settings: Settings, paths: Paths) -> bool:
    return settings.backend == "dockerrun" and "dockerrun.config.container.image" not in paths


def _pulls_a_moving_tag(settings: Settings, paths: Paths) -> bool:
    execution = settings.docker.execution
    name = str(execution.container.get("Image", "")).rpartition("/")[2]
    moves = "@" not in name and name.partition(":")[2] in ("", "latest")
    return execution.image_pull_policy == "IfNotPresent" and moves


def _logs_to_a_file_unnamed(settings: Settings, paths: Paths) -> bool:
    return settings.log.destination == "file" and "log.file" not in paths


def _asks_for_life(settings: Settings, paths: Paths) -> bool:
    return settings.ssh.client_alive_interval > 0


def _limits_sessions(settings: Settings, paths: Paths) -> bool:
    return settings.security.max_sessions >= 0


def _denies_and_filters(settings: Settings, paths: Paths) -> bool:
    return any(key in paths for key in ("security.env.deny", "security.subsystem.deny", "security.signal.deny"))


EXECUTION = "docker.execution"
DIFFERENCES = (
    Difference(
        f"{EXECUTION}.container.image",
        f"{CONTAINERSSH_IMAGE} is used where none is given",
        f"{GUEST_IMAGE}, which `moorage guest-image` makes on this host; write the image to keep it",
        _has_no_image,
    ),
    Difference(
        f"{EXECUTION}.container.image",
        f"{CONTAINERSSH_IMAGE} is used where none is given",
        f"too, because the file has none of Moorage's own keys; with one (auth.users, say), {GUEST_IMAGE}",
        _keeps_no_image,
    ),
    Difference(
        "dockerrun.config.container.image",
        f"{CONTAINERSSH_IMAGE} is used where none is given",
        "too, because the tree is ContainerSSH's own",
        _has_no_image_of_old,
    ),
    Difference(
        f"{EXECUTION}.idleCommand",
        "the guest agent waits, so each image must hold it",
        "/bin/sh waits",
        _in_mode("connection", f"{EXECUTION}.idleCommand"),
    ),
    Difference(
        f"{EXECUTION}.shellCommand",
        "/bin/bash, which small images do not have",
        "bash where the image has it, else sh",
        _in_mode("connection", f"{EXECUTION}.shellCommand"),
    ),
    Difference(
        f"{EXECUTION}.container.entrypoint",
        "the image's ENTRYPOINT swallows the idle command",
        "it is cleared in mode connection, unless the file sets one",
        _in_mode("connection"),
    ),
    Difference(
        f"{EXECUTION}.mode",
        "containers of mode session are never removed",
        "each goes when its session ends",
        _in_mode("session"),
    ),
    Difference(
        f"{EXECUTION}.imagePullPolicy",
        "0.4 asks the registry for `latest` each time, later versions only when the image is absent",
        "as in 0.4; name a tag to have it pulled once",
        _pulls_a_moving_tag,
    ),
    Difference(f"{EXECUTION}.auth", "read and dropped", "used for the pull", _given(f"{EXECUTION}.auth")),
    Difference(
        f"{EXECUTION}.agentPath, disableAgent",
        "signals in mode connection need the agent in the image",
        "no agent is needed for anything but signals in mode connection, and they are not served yet",
        _given(f"{EXECUTION}.agentPath", f"{EXECUTION}.disableAgent"),
    ),
    Difference(
        f"{EXECUTION}.exposeAuthMetadataAsEnv",
        "all metadata of the login, secrets too, becomes the container's environment",
        "there is no metadata yet",
        _given(f"{EXECUTION}.exposeAuthMetadataAsEnv"),
    ),
    Difference(
        "docker.timeouts.http",
        "with TLS or http:// it bounds a whole pull",
        "control calls only",
        _given("docker.connection.host", "dockerrun.host"),
    ),
    Difference("dockerrun", "a warning for each connection", "one at start", lambda s, _: s.backend == "dockerrun"),
    Difference(
        "security.maxSessions",
        "counts sessions for the life of the connection, and 0 is no limit",
        "counts those that are open, and 0 is none at all",
        _limits_sessions,
    ),
    Difference("security.signal", "security.shell.mode decides", "its own mode", _given("security.signal")),
    Difference(
        "security",
        "a list of what is denied does not hold in mode filter",
        "it holds in every mode",
        _denies_and_filters,
    ),
    Difference(
        "security.forwarding",
        "a mode that is no mode means enable",
        "it is refused",
        _given("security.forwarding"),
    ),
    Difference(
        "ssh.hostkeys",
        "without one, a key is made and the file rewritten; ECDSA keys are refused",
        "a key must be given, of any type, and the file is never written",
        _always,
    ),
    Difference(
        "ssh.serverVersion", "SSH-2.0-ContainerSSH", "SSH-2.0-Moorage", lambda _, p: "ssh.serverversion" not in p
    ),
    Difference(
        "ssh.ciphers, kex, macs",
        "defaults without post-quantum key exchange",
        "post-quantum key exchange comes first",
        lambda settings, paths: not {"ssh.ciphers", "ssh.kex", "ssh.macs"} <= paths,
    ),
    Difference("ssh.clientAliveInterval", "does not notice a silent client", "ends it", _asks_for_life),
    Difference(
        "log.file",
        "/var/log/containerssh/containerssh.log where none is given",
        "/var/log/moorage/moorage.log; write it to keep it",
        _logs_to_a_file_unnamed,
    ),
    Difference(
        "log",
        "a line that cannot be written ends the daemon; syslog's time is malformed",
        "it goes to stderr and the daemon goes on; RFC 3164's time",
        _given("log"),
    ),
    Difference(
        "configserver",
        "false, 0 and what is empty in an answer are passed over, as are sections of the whole server",
        "false and 0 are said, other sections refused; configserver.zeroValues: skip for answers of its Go library",
        lambda settings, paths: settings.configserver.url != "",
    ),
    Difference("health", "listens though it is off", "nothing listens", _given("health")),
    Difference(
        "commands",
        "split into words; what stands behind the first operator can be lost",
        "go to the container's shell as they are",
        _always,
    ),
    Difference("removal", "waits for programs, once", "at once, and until the engine confirms it", _always),
    Difference(
        "errors", "10 s between tries, for 60 s, permanent ones too", "permanent ones are told at once", _always
    ),
)
