"""What a dead daemon has left: seen from the engine, from the kernel and from its folder."""

import fcntl
from pathlib import Path

from tests.e2e import outside

AGENT = "moorage-agent-"  # the agent's volume is kept for the next container, as its image is


class Before:
    """A daemon's containers and their volumes, as far as they have been seen; those of its next life count too.

    `engine`: the address of one that is not the usual one.
    """

    def __init__(self, state: Path, engine: str = "") -> None:
        self.state, self.engine = state, engine
        self.ids: set[str] = set()
        self.volumes: set[str] = set()

    @property
    def instance(self) -> str:
        path = self.state / "instance"
        return path.read_text().strip() if path.exists() else ""

    def names(self) -> set[str]:
        return outside.names({"moorage.instance": self.instance}, self.engine) if self.instance else set()

    def note(self) -> None:
        for name in self.names():
            status, found = outside.call("GET", f"/containers/{name}/json", host=self.engine)
            if status == 200:
                self.ids.add(found["Id"])
                mounts = [one["Name"] for one in found["Mounts"] if one["Type"] == "volume"]
                self.volumes |= {one for one in mounts if not one.startswith(AGENT)}

    def kill_all(self) -> None:
        for name in self.names():
            outside.kill(name)

    def left(self) -> list[str]:
        """Empty when nothing is."""
        self.note()
        volumes = [one for one in self.volumes if outside.call("GET", f"/volumes/{one}", host=self.engine)[0] == 200]
        return [*self.names(), *_alive(self.ids), *volumes, *_dead(self.state / "boots")]


def _alive(ids: set[str]) -> list[str]:
    """Processes of these containers. An empty cgroup that a killed engine forgets is its own: nobody runs there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            groups = path.read_text()
        except OSError:
            continue
        found += [f"process {path.parent.name}" for one in ids if one in groups]
    return found


def _dead(boots: Path) -> list[str]:
    """What lies in the folder of boots and belongs to one whose lock nobody holds."""
    return [path.name for path in boots.iterdir() if not _is_held(boots / path.stem)]


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
