"""What the daemon's process takes of its machine, and what it may take."""

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Any

from actors.bridge import count_tasks


def figures() -> dict[str, Any]:
    """For `moorage status`: a daemon in order has no more of these at rest after a month than after a day."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "pid": os.getpid(),
        "rss_bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "files": len(os.listdir("/proc/self/fd")),
        "files_max": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "tasks": count_tasks(),
    }


def allow_files() -> None:
    """As many open files as the machine lets us have: a session takes two or three, and the usual limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
