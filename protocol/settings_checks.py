"""Rules that a key's type cannot say. They look at Settings, so that an embedding program's are held to them too."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from protocol.dangers import own_files, refusals
from protocol.settings import DockerConnection, Execution, Settings, Ssh
from protocol.settings_auth_checks import auth_problems, auth_remarks
from protocol.settings_checks_more import (
    limit_problems,
    limit_remarks,
    security_problems,
    security_remarks,
    service_problems,
)
from protocol.settings_problem import Problem
from protocol.settings_rules_checks import rule_problems, rule_remarks
from protocol.settings_unserved import missed_services, refused_services

VERSION_MAX = 253  # RFC 4253 section 4.2: 255 with the line's end
_VERSION = re.compile(r"SSH-2\.0-[!-,.-~]+(?: [ -~]*)?")
_LISTEN = re.compile(r"(?:\[[0-9a-fA-F:.%\w]*\]|[^\[\]:\s]*):([0-9]{1,5})")
_CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")  # the engine's own rule


def problems_of(settings: Settings) -> Iterator[Problem]:
    """What makes these settings unusable."""
    yield from _ssh(settings.ssh)
    yield from _connection(settings.docker.connection)
    yield from per_login_problems(settings)
    if settings.docker.pool.size and settings.docker.execution.containername:
        found = "a pool, and docker.execution.containername, which only one container at a time can have"
        yield Problem("docker.pool.size", found, "0", "leave containername empty")
    yield from auth_problems(settings.auth)
    if settings.log.destination == "file" and not settings.log.file:
        yield Problem("log.file", "empty", "the name of a file")
    if settings.log.destination == "syslog" and not settings.log.syslog.destination:
        yield Problem("log.syslog.destination", "empty", "/dev/log or host:port")
    if not settings.state:
        yield Problem("state", "empty", "the name of a folder")
    yield from service_problems(settings)
    yield from refused_services(settings)
    yield from rule_problems(settings, per_login_problems)


def per_login_problems(settings: Settings) -> Iterator[Problem]:
    """The same of what may differ from login to login (`settings_part.PER_LOGIN`)."""
    yield from _execution(settings.docker.execution)
    host = settings.docker.connection.host
    sockets = [host.removeprefix("unix://")] if "unix://" in host else []
    yield from refusals(settings.docker.execution, sockets=sockets, own=own_files(settings))
    yield from security_problems(settings.security)
    yield from limit_problems(settings.limits)


def remarks_on(settings: Settings) -> Iterator[Problem]:
    """What can be used but is probably not meant."""
    yield from auth_remarks(settings.auth)
    yield from _per_login_remarks(settings)
    yield from missed_services(settings)
    yield from rule_remarks(settings, _per_login_remarks)


def _per_login_remarks(settings: Settings) -> Iterator[Problem]:
    execution = settings.docker.execution
    if execution.containername:
        advice = "leave it empty: each container gets a name of its own"
        yield Problem("docker.execution.containername", "only one container at a time can have this name", "", advice)
    if execution.container.get("Cmd"):
        found = "not used: the program is idleCommand, shellCommand or what the client asks for"
        yield Problem("docker.execution.container.cmd", found, "", "take it out")
    if execution.host.get("AutoRemove"):
        found = "not used: Moorage removes each container itself, and must see how it ended"
        yield Problem("docker.execution.host.autoRemove", found, "", "take it out")
    if execution.hardening_off and execution.hardening != "strict":
        found = "not used: nothing is hardened with hardening: engine"
        yield Problem("docker.execution.hardeningOff", found, advice="take it out, or write hardening: strict")
    yield from security_remarks(settings.security)
    yield from limit_remarks(settings.limits)


def _ssh(ssh: Ssh) -> Iterator[Problem]:
    match = _LISTEN.fullmatch(ssh.listen)
    if not match or int(match[1]) > 65535:
        yield Problem(
            "ssh.listen", f"no address: {ssh.listen!r}", "host:port, :port or [IPv6]:port", "port 0: any free one"
        )
    if len(ssh.server_version) > VERSION_MAX or not _VERSION.fullmatch(ssh.server_version):
        allowed = f"SSH-2.0- and a name in printable ASCII without dash, {VERSION_MAX} characters at most"
        yield Problem("ssh.serverVersion", f"invalid version: {ssh.server_version[:60]!r}", allowed)
    if 0 < ssh.client_alive_interval < 1:
        yield Problem("ssh.clientAliveInterval", f"{ssh.client_alive_interval:g} s", "0 (off), or 1s and more")
    if ssh.login_grace <= 0:
        yield Problem("ssh.loginGrace", "0", "more than 0", "a client that never logs in would stay for ever")
    lists = (("ciphers", ssh.ciphers), ("kex", ssh.kex), ("macs", ssh.macs), ("hostkeys", ssh.hostkeys))
    for key, names in lists:
        for index, name in enumerate(names):
            if not name.strip():
                yield Problem(f"ssh.{key}[{index}]", "empty text", "a name")


def _connection(connection: DockerConnection) -> Iterator[Problem]:
    path = "docker.connection"
    if connection.host and not _is_engine(connection.host):
        allowed = "unix:///path, tcp://host:port, http://host:port or https://host:port"
        yield Problem(f"{path}.host", f"no engine address: {connection.host!r}", allowed, "empty: it is looked for")
    texts = {"cacert": connection.cacert, "cert": connection.cert, "key": connection.key}
    for key, text in texts.items():
        if text and "-----BEGIN " not in text:
            yield Problem(f"{path}.{key}", "not a PEM text", "the text itself, from -----BEGIN to -----END")
    missing = [key for key, text in texts.items() if not text]
    if 0 < len(missing) < len(texts):
        found = f"TLS is configured by halves: {' and '.join(missing)} not given"
        yield Problem(path, found, "all of cacert, cert and key, or none")


def _is_engine(address: str) -> bool:
    try:
        parts = urlsplit(address)
        if parts.scheme == "unix":
            return parts.path.startswith("/") and not parts.netloc
        return parts.scheme in ("tcp", "http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False  # a port that is no number, an odd bracket


def _execution(execution: Execution) -> Iterator[Problem]:
    path = "docker.execution"
    if not str(execution.container.get("Image", "")).strip():
        yield Problem(f"{path}.container.image", "no image name provided", "the name of an image", "such as debian:12")
    for index, item in enumerate(execution.container.get("Env", ())):
        if item.startswith("=") or not item:
            yield Problem(f"{path}.container.env[{index}]", "no name before the =", "NAME=value")
    if execution.mode == "connection":
        advice = "leave it out for the default"
        if not execution.idle_command:
            found = 'idle command required for execution mode "connection"'
            yield Problem(f"{path}.idleCommand", found, "a list: the program and its arguments", advice)
        if not execution.shell_command:
            found = 'shell command required for execution mode "connection"'
            yield Problem(f"{path}.shellCommand", found, "a list: the program and its arguments", advice)
    if execution.transport == "served" and execution.disable_agent:
        yield Problem(f"{path}.transport", "served, and disableAgent is true", "auto or exec", "or allow the agent")
    policy = execution.host.get("RestartPolicy", {}).get("Name", "")
    if execution.mode == "session" and policy not in ("", "no"):
        found = (
            f'unsupported restart policy for execution mode "session": {policy} (session containers may not restart)'
        )
        yield Problem(f"{path}.host.restartPolicy", found, "no")
    if execution.containername and not _CONTAINER_NAME.fullmatch(execution.containername):
        allowed = "letters, digits, _ . and -, two characters or more"
        yield Problem(f"{path}.containername", f"no container name: {execution.containername!r}", allowed)
    for name, program in execution.subsystems.items():
        if not name or not program:
            yield Problem(f"{path}.subsystems.{name}", "empty", "a name and the path of a program")
