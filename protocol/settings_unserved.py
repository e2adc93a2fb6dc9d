"""What a ContainerSSH configuration asks for and Moorage does not do.

Refused, when the server would be weaker or another one without it: a section that is dropped in silence is a hole.
Said, and let pass, when only a convenience is missing. What asks for nothing (empty, switched off) is no matter.
"""

from collections.abc import Callable, Iterator

from protocol.settings import Settings
from protocol.settings_problem import Problem, resolved

DEPTH_MAX = 32
Idle = Callable[[object], bool]
KEEP = "take it out, or keep to a server that has it"


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


def _is_moot(value: object) -> bool:
    """A section that counts only when another key chooses it, and that key is refused by itself."""
    return True


# Sections that have no type of their own.
_SECTIONS: dict[str, tuple[str, Idle]] = {
    "auth.gssapi": ("GSSAPI logins are", _lacks("method")),
    "auth.password.kerberos": ("Kerberos logins are", _is_moot),
    "auth.authTimeout": ("a common time for all webhooks, which ContainerSSH reads and drops, is", _is_moot),
    "auth.keyboardInteractive.oauth2.redirect": ("the page that the authorization code flow returns to is", _is_moot),
    "auth.keyboardInteractive.oauth2.github": ("logins at GitHub are", _is_moot),
    "auth.keyboardInteractive.oauth2.generic": ("OAuth 2.0 providers without OpenID Connect are", _is_moot),
    "auth.keyboardInteractive.oauth2.qrCodeClients": ("QR codes are", _is_moot),
    "auth.keyboardInteractive.oauth2.deviceFlowClients": ("lists of clients are", _is_moot),
    "auth.keyboardInteractive.oauth2.oidc.redirectURI": ("the page that a browser returns to is", _is_moot),
}
# Trees of other backends: whether they are used is for `backend` to say.
_BACKENDS = {
    "kubernetes": "the Kubernetes backend",
    "kuberun": "the Kubernetes backend before ContainerSSH 0.4",
    "sshproxy": "the SSH proxy backend",
}


def unserved(path: str, value: object) -> str | None:
    """Why the section at `path` is refused; empty when it asks for nothing; None when it is no such section."""
    if path not in _SECTIONS:
        return None
    what, is_idle = _SECTIONS[path]
    return "" if is_idle(value) else f"{what} not served yet"


def unused(path: str, value: object) -> str | None:
    """Why the tree of another backend at `path` is passed over; empty when it holds nothing; None when it is none."""
    if path not in _BACKENDS:
        return None
    return "" if _is_zero(value) else f"not used: {_BACKENDS[path]} is not served, and the backend is docker"


def backend_refusal(name: object) -> str:
    """What to say of a backend that ContainerSSH has and Moorage has not; empty for any other word."""
    what = _BACKENDS.get(name) if isinstance(name, str) else None
    return f"invalid backend: {name} ({what} is not served)" if what else ""


def refused_services(settings: Settings) -> Iterator[Problem]:
    """Sections that are read, and whose work nobody would do though somebody counts on it."""
    audit = settings.audit
    if audit.enable and audit.format != "none" and audit.storage != "none":
        where = " in S3" if audit.storage == "s3" else ""
        found = f"audit logs{where} are not served yet; without them nobody would see what was done"
        yield Problem(
            "audit.enable", found, advice="set it to false; record.directory keeps a scenario of each connection"
        )


def missed_services(settings: Settings) -> Iterator[Problem]:
    """Sections that are read and passed over, because nothing is weaker without them."""
    audit = settings.audit
    if audit.enable and (audit.format == "none" or audit.storage == "none"):
        yield Problem("audit.enable", "nothing is written with format or storage none", advice="set it to false")
    if settings.metrics.enable:
        yield Problem("metrics.enable", "metrics are not served yet: nothing listens", advice="set it to false")
    if settings.health.enable:
        found = "the health service is not served yet: nothing listens"
        yield Problem("health.enable", found, advice="`moorage status` tells whether the daemon serves")
    if settings.geoip.provider != "dummy":
        yield Problem("geoip.provider", "GeoIP look-ups are not served: there is no metric to put them in")
