"""Whom a configuration was written for, told by its keys: one that has none of ours was ContainerSSH's."""

from collections.abc import Collection

from msgspec.structs import replace

from protocol.settings import Settings
from protocol.settings_problem import Problem, is_within
from protocol.settings_types import CONTAINERSSH_IMAGE

# Keys that ContainerSSH does not have. A file of ours needs at least one of them, or web services, to let anybody in.
OURS = (
    "ssh.loginGrace",
    "ssh.maxAuthTries",
    "ssh.maxStartups",
    "auth.users",
    "auth.usersFile",
    "auth.methods",
    "auth.trustedUserCAKeys",
    "auth.revokedKeys",
    "auth.authorizedKeysCommand",
    "auth.failures",
    "auth.password.webhook.bearerToken",
    "auth.publicKey.webhook.bearerToken",
    "auth.authz.webhook.bearerToken",
    "docker.execution.hardening",
    "docker.execution.hardeningOff",
    "docker.execution.allowDangerous",
    "docker.execution.transport",
    "docker.pool",
    "security.command.allowPrefixes",
    "security.command.allowPatterns",
    "security.command.denyPrefixes",
    "security.command.denyPatterns",
    "rules",
    "templates",
    "limits",
    "shutdown",
    "record",
    "state",
)
IMAGE = "docker.execution.container.image"


def with_its_image(settings: Settings, paths: Collection[str]) -> tuple[Settings, list[Problem]]:
    """The default image is the one that the file's author was told of. `paths`: what the file has, in lower case."""
    is_ours = any(is_within(path, key) for path in paths for key in OURS)
    if settings.backend != "docker" or IMAGE in paths or is_ours:
        return settings, []
    execution = settings.docker.execution
    container = {**execution.container, "Image": CONTAINERSSH_IMAGE}
    docker = replace(settings.docker, execution=replace(execution, container=container))
    found = f"not given, and the file has no key that is Moorage's own: {CONTAINERSSH_IMAGE}, ContainerSSH's default"
    return replace(settings, docker=docker), [Problem(IMAGE, found, advice="write the name of an image")]
