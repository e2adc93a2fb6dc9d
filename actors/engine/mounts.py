"""The paths that containers are given of the host, followed through symbolic links to what they are."""

import os

from actors.engine.find import socket_paths
from protocol.dangers import refusals
from protocol.settings import Settings


def check(settings: Settings) -> list[tuple[str, str]]:
    """(path, sentence) for each that leads to the engine's socket, a disk or memory. The engine's host is ours, mostly;
    where it is another one, only its own links are not seen."""
    sockets = socket_paths(settings.docker.connection.host)
    found = refusals(settings.docker.execution, sockets=sockets, real=os.path.realpath)
    return [(problem.path, problem.sentence) for problem in found]
