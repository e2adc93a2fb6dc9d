"""Which daemon this is: an id that outlives restarts, and a lock that says this boot of it is alive.

Containers carry both in their labels. One whose boot's lock is free was left by a crash; an upgrade's two processes,
or two daemons on one engine, leave each other's alone.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Instance:
    """`id`: 32 hex digits, kept in `DIR/instance`. `boot`: new each time, locked in `DIR/boots/BOOT` while we live.

    Raises OSError when the folder cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self._boots = directory / "boots"
        self._boots.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.id = _kept(directory / "instance")
        self.boot = secrets.token_hex(8)
        with _held(self._boots):
            self._lock = os.open(self._boots / self.boot, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def control(self) -> Path:
        """Where this boot's control socket lies."""
        return self._boots / f"{self.boot}.sock"

    @property
    def links(self) -> Path:
        """Where this boot keeps the sockets of its guest agents."""
        return self._boots / f"{self.boot}.links"

    def is_alive(self, boot: str) -> bool:
        """Does a living process hold this boot's lock? A name that is none of ours counts as dead."""
        if boot == self.boot:
            return True
        if not boot.isalnum():
            return False
        try:
            probe = os.open(self._boots / boot, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(probe)
        return False

    def forget_dead(self) -> None:
        """Delete the locks and sockets of boots that are gone, once the engine holds no container of theirs."""
        with _held(self._boots):
            for path in self._boots.iterdir():
                if self.is_alive(path.stem):
                    continue
                if path.suffix == ".links":
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """This boot is over, in order: its lock goes."""
        shutil.rmtree(self.links, ignore_errors=True)
        self.control.unlink(missing_ok=True)  # its listener may have been cancelled just after it was bound
        (self._boots / self.boot).unlink(missing_ok=True)
        os.close(self._lock)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """One daemon at a time: a lock that is made and not yet taken looks like that of a dead boot."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _kept(path: Path) -> str:
    """The id in this file, made on the first run. Two first runs at once agree on one."""
    try:
        with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(secrets.token_hex(16) + "\n")
    except FileExistsError:
        pass
    return path.read_text().strip()
