"""Rules about what a client may ask for, and about services beside the SSH server. See settings_checks.py."""

from collections.abc import Iterator

from protocol.settings import Settings
from protocol.settings_http import HttpClient, HttpServer
from protocol.settings_limits import Limits
from protocol.settings_problem import Problem, nearest
from protocol.settings_security import CommandPolicy, Security
from protocol.settings_services import Audit
from protocol.signal import SIGNAL_NUMBERS

PATTERN_CHARS_MAX = 1024
_FORWARDINGS = (
    ("forwarding_mode", "forwardingMode"),
    ("reverse_forwarding_mode", "reverseForwardingMode"),
    ("socket_forwarding_mode", "socketForwardingMode"),
    ("socket_listen_mode", "socketListenMode"),
    ("x11_forwarding_mode", "x11ForwardingMode"),
)


def security_problems(security: Security) -> Iterator[Problem]:
    if security.max_sessions < -1:
        found = f"invalid maxSessions setting: {security.max_sessions}"
        yield Problem("security.maxSessions", found, "-1 (no limit), 0 (no session at all) or more")
    if "\0" in security.force_command:
        yield Problem("security.forceCommand", "a NUL character", "a command")
    for key in ("allow", "deny"):
        for index, name in enumerate(getattr(security.signal, key)):
            if name not in SIGNAL_NUMBERS:
                near = nearest(name.upper().removeprefix("SIG"), SIGNAL_NUMBERS)
                advice = f"did you mean {near}?" if near else ""
                allowed = "a signal of RFC 4254 without SIG, such as TERM"
                yield Problem(f"security.signal.{key}[{index}]", f"no signal: {name[:60]!r}", allowed, advice)
        for index, name in enumerate(getattr(security.env, key)):
            if not name or "=" in name:
                yield Problem(f"security.env.{key}[{index}]", f"no name: {name[:60]!r}", "the name of a variable")
    yield from _lists(security.command)


def _lists(command: CommandPolicy) -> Iterator[Problem]:
    for key in ("allowPrefixes", "allowPatterns", "denyPrefixes", "denyPatterns"):
        names = getattr(command, key.replace("P", "_p"))
        for index, text in enumerate(names):
            path = f"security.command.{key}[{index}]"
            if not text.strip():
                yield Problem(path, "empty text", "the beginning of a command" if "Pre" in key else "a pattern")
            elif len(text) > PATTERN_CHARS_MAX:
                yield Problem(path, f"{len(text)} characters", f"{PATTERN_CHARS_MAX} at most")


def security_remarks(security: Security) -> Iterator[Problem]:
    if security.max_sessions == 0:
        advice = "write -1 for no limit (ContainerSSH takes 0 for that)"
        yield Problem("security.maxSessions", "0 lets no session be opened", advice=advice)
    for field, key in _FORWARDINGS:
        if getattr(security.forwarding, field) == "enable":
            found = "this kind of forwarding is not served yet: clients that ask for it are refused"
            yield Problem(f"security.forwarding.{key}", found)
    command, mode = security.command, security.command.mode or security.default_mode or "enable"
    if mode != "filter" and (command.allow or command.allow_prefixes or command.allow_patterns):
        yield Problem(
            "security.command", f"the lists of what is allowed are not used in mode {mode}", "", "mode: filter"
        )
    for key in ("env", "subsystem", "signal"):
        policy = getattr(security, key)
        mode = policy.mode or security.default_mode or "enable"
        if mode != "filter" and policy.allow:
            yield Problem(f"security.{key}.allow", f"not used in mode {mode}", advice="mode: filter")


def limit_problems(limits: Limits) -> Iterator[Problem]:
    for who, share in (("user", limits.user), ("address", limits.address)):
        if share.login_rate.logins and not share.login_rate.period:
            advice = "logins: 0 for no limit"
            yield Problem(f"limits.{who}.loginRate.period", "0, and there is a number of logins", "more than 0", advice)


def limit_remarks(limits: Limits) -> Iterator[Problem]:
    if 0 < limits.total <= limits.idle:
        yield Problem("limits.idle", "limits.total is over before it can be", "", "less than limits.total, or 0")


def service_problems(settings: Settings) -> Iterator[Problem]:
    yield from _client("configserver", settings.configserver)
    if not settings.configserver.bearer_token.isascii():
        yield Problem("configserver.bearerToken", "text that is not ASCII", "what HTTP can carry")
    yield from _client("health.client", settings.health.client)
    yield from _server("metrics", settings.metrics)
    yield from _server("health", settings.health)
    if settings.metrics.enable and not settings.metrics.path.startswith("/"):
        yield Problem("metrics.path", f"no path: {settings.metrics.path[:60]!r}", "a path that begins with /")
    yield from _audit(settings.audit)


def _client(path: str, client: HttpClient) -> Iterator[Problem]:
    if client.url and not client.url.lower().startswith(("http://", "https://")):
        yield Problem(f"{path}.url", "no URL", "http://… or https://…")
    if bool(client.cert) != bool(client.key):
        missing = "key" if client.cert else "cert"
        yield Problem(path, f"a client certificate by halves: {missing} not given", "both of cert and key, or none")


def _server(path: str, server: HttpServer) -> Iterator[Problem]:
    host, colon, port = server.listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in host and host[0] != "["):
        yield Problem(f"{path}.listen", f"no address: {server.listen[:60]!r}", "host:port, :port or [IPv6]:port")
    if bool(server.cert) != bool(server.key):
        missing = "key" if server.cert else "cert"
        yield Problem(path, f"TLS is configured by halves: {missing} not given", "both of cert and key, or none")


def _audit(audit: Audit) -> Iterator[Problem]:
    if not audit.enable:
        return
    if audit.storage == "file" and not audit.file.directory:
        yield Problem("audit.file.directory", "empty", "the name of a folder")
    if audit.storage == "s3":
        for field, key in (("access_key", "accessKey"), ("secret_key", "secretKey"), ("bucket", "bucket")):
            if not getattr(audit.s3, field):
                yield Problem(f"audit.s3.{key}", "empty", "what the object storage gave")
