"""One scenario file per connection, written while it runs.

A `Recording` collects the lines of every actor that belongs to a connection and is finished when the last of them has
left (the container's removal outlives its connection). An actor that several connections share, such as an image's,
writes to a `SharedLog`; its lines since birth go into each recording that joins.

Nothing here raises because of a disk: what cannot be written is told once through `warn`, and that recording stays
an unfinished `.part`. Nor does anything wait for one, when the work is given to a thread (`disk.py`). Lines are held
until there are 100, so a short connection costs one write at its end. Without a directory nothing is encoded; the last
64 lines are kept as they are, for crash reports.
"""

import errno
import os
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from actors.disk import Disk, at_once
from fsm.kernel import Answer
from protocol.base import Event
from protocol.ledger import Header, Line, encode, seal

TAIL_LINES_MAX = 64
HELD_LINES_MAX = 100


class Ledger(Protocol):
    """Where an actor notes each step, as soon as it has the answer and before it hands out the effects."""

    def write(self, actor: str, machine: str, event: Event, answer: Answer) -> None: ...

    def enlist(self, actor: str) -> None:
        """`actor` writes here from its birth."""

    def leave(self, actor: str, why: str = "") -> None:
        """`actor` has ended; `why` is empty when it ended in order."""

    def join(self, log: "SharedLog") -> None:
        """Take over what the shared actor has done since its birth, and all that it will do from now on."""

    def tail(self) -> list[str]:
        """The last 64 lines as JSON, oldest first, for a crash report."""


class Entry(NamedTuple):
    """One step, not yet encoded. `when` is the recorder's clock in seconds."""

    when: float
    actor: str
    machine: str
    event: Event
    answer: Answer


class Recorder:
    """All recordings of one daemon. `clock` gives seconds (trio's), `now` the wall time for headers and file names,
    `disk` does what has to do with files, in the order asked."""

    def __init__(
        self,
        directory: Path | None,
        clock: Callable[[], float],
        header: Header,
        warn: Callable[[str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        disk: Disk = at_once,
    ) -> None:
        self.directory, self.clock, self.header, self.now, self.disk = directory, clock, header, now, disk
        self.recordings: set[Recording] = set()
        self._warn = warn
        self._warned = False
        if directory is not None:
            try:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                self.failed(error)

    def open(self, connection: str) -> "Recording":
        """A new recording, begun now. `connection` is its id, which is also part of the file name."""
        recording = Recording(self, connection)
        self.recordings.add(recording)
        return recording

    def share(self) -> "SharedLog":
        """The ledger of an actor that no single connection owns."""
        return SharedLog(self)

    def close(self, why: str = "the daemon stopped") -> None:
        """Finish what is still open, at the daemon's end."""
        for recording in tuple(self.recordings):
            recording.finish(why)

    def failed(self, error: OSError) -> None:
        """A disk said no, or nothing for too long. Told once, until a write succeeds again."""
        if not self._warned:
            self._warned = True
            self._warn(f"scenarios cannot be recorded in {self.directory}: {error.strerror or error}")

    def succeeded(self) -> None:
        """A write went through: the next failure is news again."""
        self._warned = False


class Recording:
    """The ledger of one connection and of the actors that belong to it."""

    def __init__(self, recorder: Recorder, connection: str) -> None:
        started = recorder.now()
        self.began = recorder.clock()
        self.count = 0
        self.why = ""
        self.finished = False
        self._recorder = recorder
        self._actors: set[str] = set()
        self._tail: list[Line] = []  # an idle connection has few; an empty deque takes the room of 64
        self._shared: dict[int, Entry] = {}  # by identity; kept, so that no other gets it
        self._file: File | None = None
        if recorder.directory is not None:
            name = f"{started:%Y%m%dT%H%M%S.%fZ}-{connection}.jsonl"
            self._file = File(recorder, recorder.directory / name)
            self._file.add(encode(replace(recorder.header, started=started.isoformat(), connection=connection)))

    def enlist(self, actor: str) -> None:
        """`actor` belongs to this connection; the recording lasts until it leaves."""
        self._actors.add(actor)

    def join(self, log: "SharedLog") -> None:
        """Take over what the shared actor has done since its birth, and all that it will do from now on."""
        if not self.finished and self not in log.joined:
            log.joined.append(self)
            for entry in log.entries:
                self.append(entry)

    def leave(self, actor: str, why: str = "") -> None:
        """`actor` has ended; `why` is empty when it ended in order. The last one to leave finishes the recording."""
        self.why = self.why or why
        self._actors.discard(actor)
        if not self._actors:
            self.finish("finished")

    def write(self, actor: str, machine: str, event: Event, answer: Answer) -> None:
        """Note one step of an actor of this connection."""
        self._note(Entry(self._recorder.clock(), actor, machine, event, answer))

    def append(self, entry: Entry) -> None:
        """Note one step of a shared actor, once: an image's may come by itself and by the spare that waited for it."""
        if id(entry) not in self._shared:
            self._shared[id(entry)] = entry
            self._note(entry)

    def _note(self, entry: Entry) -> None:
        if self.finished:
            return
        self.count += 1
        line = Line(
            seq=self.count,
            clock=round(entry.when - self.began, 6),
            actor=entry.actor,
            machine=entry.machine,
            event=entry.event,
            answer=entry.answer,
        )
        self._tail.append(line)
        if len(self._tail) > TAIL_LINES_MAX:
            del self._tail[0]
        if self._file is not None:
            self._file.add(encode(line))

    def finish(self, why: str) -> None:
        """Write the end. `why` counts only if no actor gave a reason of its own."""
        if self.finished:
            return
        self.finished = True
        self._recorder.recordings.discard(self)
        if self._file is not None:
            self._file.end(self.count, self.why or why)

    def tail(self) -> list[str]:
        """The last 64 lines as JSON, oldest first."""
        return [msgspec.json.encode(line).decode() for line in self._tail]


class SharedLog:
    """The ledger of actors that no connection owns, or none yet: one pull's, or a spare's and its container's."""

    finished = False

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        # Without files only the crash report's tail is of use; with them a recording needs the actor from its birth.
        self.entries: deque[Entry] = deque(maxlen=TAIL_LINES_MAX if recorder.directory is None else None)
        self.joined: list[Recording | SharedLog] = []

    def write(self, actor: str, machine: str, event: Event, answer: Answer) -> None:
        """Note one step, here and in every recording that has joined and goes on."""
        self.append(Entry(self._recorder.clock(), actor, machine, event, answer))

    def enlist(self, actor: str) -> None:
        """Nothing waits for it here."""

    def leave(self, actor: str, why: str = "") -> None:
        for recording in tuple(self.joined):
            recording.leave(actor, why)

    def join(self, log: "SharedLog") -> None:
        log.joined.append(self)
        for entry in log.entries:
            self.append(entry)

    def append(self, entry: Entry) -> None:
        """Note one step that happened at `entry.when`."""
        self.entries.append(entry)
        self.joined = [recording for recording in self.joined if not recording.finished]
        for recording in self.joined:
            recording.append(entry)

    def tail(self) -> list[str]:
        """The last 64 lines as JSON, oldest first; `seq` counts from the actor's birth."""
        lines = [Line(seq=seq, clock=e.when, actor=e.actor, machine=e.machine, event=e.event, answer=e.answer)
                 for seq, e in enumerate(self.entries, 1)]  # fmt: skip
        return [msgspec.json.encode(line).decode() for line in lines[-TAIL_LINES_MAX:]]


class File:
    """One scenario file: lines are held, written in their order, and named `.part` until the end line is there.

    Methods without an underscore are the loop's; those that are given to the disk touch nothing but the file.
    """

    def __init__(self, recorder: Recorder, path: Path) -> None:
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._recorder = recorder
        self._hash = sha256()
        self._held: list[bytes] = []
        self._fd = -1
        self._broken = False  # a hole cannot be mended later

    def add(self, line: bytes) -> None:
        """Take one encoded line."""
        if self._broken:
            return
        self._hash.update(line)
        self._held.append(line)
        if len(self._held) >= HELD_LINES_MAX:
            self._flush()

    def end(self, count: int, why: str) -> None:
        """Write what is held and the end line, and give the file its name."""
        self.add(seal(self._hash.digest(), count, why))
        self._flush()
        self._recorder.disk(self._finish, self._done, 0)

    def _flush(self) -> None:
        data = b"".join(self._held)
        self._held.clear()
        if data and not self._broken and not self._recorder.disk(partial(self._write, data), self._done, len(data)):
            self._broken = True
            self._recorder.failed(OSError(errno.EAGAIN, "the disk is too slow for what there is to write"))

    def _done(self, error: OSError | None) -> None:
        if error is not None:
            self._recorder.failed(error)
        elif not self._broken:
            self._recorder.succeeded()

    def _write(self, data: bytes) -> None:
        if self._broken:
            return
        rest = memoryview(data)
        try:
            if self._fd < 0:
                self._fd = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            self._broken = True
            raise

    def _finish(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        if not self._broken:
            self._part.rename(self.path)
