"""Where the engine is, when nobody has said so."""

import os
import socket

from actors.ports import EngineFault

CONNECT_SECONDS_MAX = 2.0


def find_engine(host: str = "") -> str:
    """The engine's URL: `host`, else DOCKER_HOST, else the first of the usual sockets that takes a connection.

    Raises `EngineFault` (unavailable) that names all the places tried. A given host is not tried here: connecting to
    it will say what is wrong with it.
    """
    given = host or os.environ.get("DOCKER_HOST", "")
    if given:
        return given
    tried = []
    for path in _usual_sockets():
        why = _why_silent(path)
        if not why:
            return f"unix://{path}"
        tried.append(f"{path} ({why})")
    raise EngineFault("unavailable", f"no container engine found; DOCKER_HOST is not set; tried {', '.join(tried)}")


def socket_paths(host: str = "") -> list[str]:
    """Wherever the engine may be heard on this host: the place that is given, and the usual ones."""
    given = host or os.environ.get("DOCKER_HOST", "")
    return [*([given.removeprefix("unix://")] if given.startswith("unix://") else []), *_usual_sockets()]


def _usual_sockets() -> list[str]:
    """Docker's sockets before Podman's, the system's before the user's."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    own = [f"{runtime}/docker.sock"] if runtime else []
    podman = [f"{runtime}/podman/podman.sock"] if runtime else []
    return ["/var/run/docker.sock", *own, "/run/podman/podman.sock", *podman]


def _why_silent(path: str) -> str:
    """Empty if somebody listens on the unix socket `path`, else why not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_SECONDS_MAX)
        try:
            probe.connect(path)
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""
