"""Work that waits for a disk, done beside the loop: a disk that is slow or hangs keeps no login waiting.

One thread for all of it, so that it is done in the order asked. What waits for it is bounded.
"""

from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Protocol

import trio

Job = Callable[[], None]  # may raise OSError
Then = Callable[[OSError | None], None]
WAITING_BYTES_MAX = 32 * 2**20
CLOSE_S = 10.0  # at the end of the daemon, for what still waits


class Disk(Protocol):
    def __call__(self, job: Job, then: Then, size: int) -> bool:
        """Do `job`, then tell `then` how it went. `size`: the bytes that it holds until then. False: it will not be
        done, because too much waits already; that is never said of a job without bytes."""


def at_once(job: Job, then: Then, size: int) -> bool:
    """A disk for who can wait."""
    then(_failure(job))
    return True


class DiskThread:
    """A disk of its own thread, which begins with the first job. `soon(fn, *args)` calls in the loop's thread."""

    def __init__(self, soon: Callable[..., None]) -> None:
        self._soon = soon
        self._jobs: SimpleQueue[tuple[Job, Then, int] | None] = SimpleQueue()
        self._lock, self._waiting = Lock(), 0
        self._thread: Thread | None = None

    def __call__(self, job: Job, then: Then, size: int) -> bool:
        with self._lock:
            if size and self._waiting + size > WAITING_BYTES_MAX:
                return False
            self._waiting += size
        if self._thread is None:
            # A daemon: a disk that hangs must not keep the process.
            self._thread = Thread(target=self._run, name="moorage-disk", daemon=True)
            self._thread.start()
        self._jobs.put((job, then, size))
        return True

    def close(self) -> bool:
        """Wait until all is done; False: it was not within ten seconds, and is left. Blocks: not for the loop."""
        if self._thread is None:
            return True
        self._jobs.put(None)
        self._thread.join(CLOSE_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (asked := self._jobs.get()) is not None:
            job, then, size = asked
            error = _failure(job)
            with self._lock:
                self._waiting -= size
            self._tell(then, error)

    def _tell(self, then: Then, error: OSError | None) -> None:
        with suppress(trio.RunFinishedError):  # the loop has not waited for us
            self._soon(then, error)


def _failure(job: Job) -> OSError | None:
    try:
        job()
    except OSError as error:
        return error
    return None
