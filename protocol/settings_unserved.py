"""Sections of a ContainerSSH configuration that Moorage does not serve yet.

Each is refused by name, because a section like `security` that is dropped in silence is a hole. One that asks for
nothing (empty, or switched off) is let pass, so that a complete file keeps working.
"""

from collections.abc import Callable

from protocol.settings_problem import resolved

DEPTH_MAX = 32
Idle = Callable[[object], bool]


def _is_zero(value: object, depth: int = 0) -> bool:
    """Nothing, false, 0, empty text, or a tree of such."""
    value = resolved(value)
    if isinstance(value, dict):
        return depth < DEPTH_MAX and all(_is_zero(item, depth + 1) for item in value.values())
    return value is None or value is False or value == 0 or value == "" or value == [] or value == ()


def _lacks(*keys: str) -> Idle:
    """A section that does nothing unless one of `keys` is set."""

    def is_idle(value: object) -> bool:
        return _is_zero(value) or (isinstance(value, dict) and all(_is_zero(value.get(key)) for key in keys))

    return is_idle


def _is_dummy(value: object) -> bool:
    return _is_zero(value) or (isinstance(value, dict) and value.get("provider") in ("", "dummy", None))


def _has_no_policy(value: object) -> bool:
    """`security` with no more in it than its defaults: no limit, no forwarding, and no mode but empty."""
    if not isinstance(value, dict):
        return _is_zero(value)
    rest = {key: item for key, item in value.items() if key not in ("maxSessions", "forwarding")}
    forwarding = value.get("forwarding")
    modes = list(forwarding.values()) if isinstance(forwarding, dict) else [forwarding]
    is_closed = all(mode == "disable" or _is_zero(mode) for mode in modes)
    return _is_zero(rest) and is_closed and resolved(value.get("maxSessions")) in (None, 0, -1)


_SECTIONS: dict[str, tuple[str, Idle]] = {
    "security": ("security policies are", _has_no_policy),
    "metrics": ("metrics are", _lacks("enable")),
    "health": ("the health service is", _lacks("enable")),
    "audit": ("audit logs are", _lacks("enable")),
    "configserver": ("the configuration webhook is", _lacks("url")),
    "geoip": ("GeoIP look-ups are", _is_dummy),
    "kubernetes": ("the Kubernetes backend is", _is_zero),
    "sshproxy": ("the SSH proxy backend is", _is_zero),
    "dockerrun": ("the dockerrun tree (before ContainerSSH 0.4) is", _is_zero),
    "kuberun": ("the kuberun tree (before ContainerSSH 0.4) is", _is_zero),
    "auth.password": ("the password webhook and Kerberos are", _lacks("method")),
    "auth.publicKey": ("the public key webhook is", _lacks("method")),
    "auth.keyboardInteractive": ("keyboard-interactive logins are", _lacks("method")),
    "auth.gssapi": ("GSSAPI logins are", _lacks("method")),
    "auth.authz": ("the authorisation webhook is", _lacks("method")),
    "auth.authTimeout": ("the authentication webhook is", _is_zero),
    "auth.url": ("the authentication webhook is", _is_zero),
    "auth.pubkey": ("the public key webhook is", _is_zero),
}


def unserved(path: str, value: object) -> str | None:
    """Why the section at `path` is refused; empty when it asks for nothing; None when it is no such section."""
    if path not in _SECTIONS:
        return None
    what, is_idle = _SECTIONS[path]
    return "" if is_idle(value) else f"{what} not served yet"
