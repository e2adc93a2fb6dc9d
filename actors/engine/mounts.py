"""The paths that containers are given of the host, followed through symbolic links to what they are."""

import os
from collections.abc import Iterator

from actors.engine.find import socket_paths
from protocol.dangers import own_files, refusals
from protocol.settings import Settings
from protocol.settings_problem import Problem
from protocol.settings_rules_checks import of_parts


def check(settings: Settings) -> list[tuple[str, str]]:
    """(path, sentence) for each that leads to the engine's socket, a disk, memory or what is ours; in the file's own
    settings and in those of its rules and templates. The engine's host is ours, mostly; where it is another one, only
    its own links are not seen."""
    sockets = socket_paths(settings.docker.connection.host)

    def look(one: Settings) -> Iterator[Problem]:
        return refusals(one.docker.execution, sockets=sockets, real=os.path.realpath, own=own_files(one))

    return [(problem.path, problem.sentence) for problem in (*look(settings), *of_parts(settings, look))]
