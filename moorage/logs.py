"""The log writer: the caller never waits and never sees an error.

Lines are made in the caller's thread and written by a thread of the log's own. A destination may block (a pipe that
nobody reads, a full disk over the network): then lines wait, up to `WAITING_BYTES_MAX`, later ones are counted and
dropped, and how many were is said as soon as the destination takes lines again. The daemon goes on in any case: a log
that can stop every session would be a way to stop every session.
"""

import atexit
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from moorage.log_lines import Record, level_name, ljson, severity, syslog_line, text
from moorage.log_places import Descriptor, File, Place, SyslogSocket
from protocol import codes
from protocol.codes import Code
from protocol.settings import Log as LogSettings

WAITING_BYTES_MAX = 8 * 2**20
GATHER_S = 0.01  # from the first line to the write: a thread that wakes for every line holds up who speaks
STDOUT, STDERR = 1, 2


class LogUnavailable(Exception):
    """The destination cannot be opened at start; the text is one sentence that names it."""


class Log:
    """Writes `Code`s. Open at once, or `LogUnavailable`; `close` it, or the last lines may be lost."""

    def __init__(
        self,
        settings: LogSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        stdout: int = STDOUT,
        stderr: int = STDERR,
        waiting_bytes_max: int = WAITING_BYTES_MAX,
    ) -> None:
        self._settings = settings
        self._now = now
        self._severity_max = severity(level_name(settings.level))
        self._bytes_max = waiting_bytes_max
        self._place = self._open(stdout)
        self._stderr = Descriptor(stderr)
        self._failing = False  # the destination's last write failed, and it was said

        self._bell = threading.Lock()  # held while there is nothing to do
        self._bell.acquire()
        self._guard = threading.Lock()  # of all below
        self._rung = False
        self._waiting: list[str] = []
        self._waiting_bytes = 0
        self._dropped = 0  # not yet told of
        self._wants_reopen = False
        self._closed = False
        self._written_total = 0
        self._dropped_total = 0

        self._thread = threading.Thread(target=self._run, name="moorage-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, code: Code, details: Mapping[str, object] | None = None, level: str | None = None) -> None:
        """One line, if its level is wanted. `level` replaces the code's own. Never waits, never raises."""
        name = level_name(level or code.level)
        if severity(name) > self._severity_max:
            return
        line = self._line(Record(self._now(), name, code.name, code.text, details or {}))
        with self._guard:
            if self._closed or self._waiting_bytes + len(line) > self._bytes_max:
                self._dropped += 1
                self._dropped_total += 1
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._ring()

    def follow(self, settings: LogSettings) -> None:
        """A reload: level and format from now on. The destination stays, for it may be one that cannot be opened."""
        self._settings = replace(self._settings, level=settings.level, format=settings.format)
        self._severity_max = severity(level_name(settings.level))

    def reopen(self) -> None:
        """SIGHUP: the file was moved away by a rotation, begin a new one."""
        with self._guard:
            self._wants_reopen = True
            self._ring()

    def close(self, seconds: float = 2.0) -> None:
        """Write what waits, for at most `seconds`; a destination that takes nothing must not hold up our end."""
        with self._guard:
            self._closed = True
            self._ring()
        self._thread.join(seconds)
        atexit.unregister(self.close)

    def statistics(self) -> dict[str, int]:
        with self._guard:
            return {
                "written": self._written_total,
                "dropped": self._dropped_total,
                "waiting_bytes": self._waiting_bytes,
            }

    def _ring(self) -> None:
        """There is something to do. Called with the guard."""
        if not self._rung:
            self._rung = True
            self._bell.release()

    def _open(self, stdout: int) -> Place:
        settings = self._settings
        place: Place
        match settings.destination:
            case "stdout":
                place, name = Descriptor(stdout), "standard output"
            case "file":
                place, name = File(Path(settings.file)), settings.file
            case "syslog":
                place, name = SyslogSocket(settings.syslog.destination), settings.syslog.destination
        try:
            place.open()
        except OSError as error:
            raise LogUnavailable(f"the log cannot be written to {name}: {error.strerror or error}") from None
        return place

    def _line(self, record: Record) -> str:
        settings = self._settings
        if settings.destination == "syslog":
            return syslog_line(record, settings.syslog, settings.format, settings.syslog.destination[:1] != "/")
        return ljson(record) if settings.format == "ljson" else text(record)

    def _run(self) -> None:
        """The writer thread: take all that waits, write it outside the lock, until closed and empty."""
        while True:
            self._bell.acquire()
            if not self._closed:
                time.sleep(GATHER_S)
            with self._guard:
                self._rung = False
                lines, self._waiting, self._waiting_bytes = self._waiting, [], 0
                dropped, self._dropped = self._dropped, 0
                reopen, self._wants_reopen = self._wants_reopen, False
                is_last = self._closed
            if reopen:
                self._guarded(self._place.open)
            if dropped:
                lost = codes.MOORAGE_LOG_LINES_LOST
                lines.append(self._line(Record(self._now(), lost.level, lost.name, lost.text, {"lines": dropped})))
            if lines:
                self._put(lines)
            if is_last:
                self._guarded(self._place.close)
                return

    def _put(self, lines: list[str]) -> None:
        """To the destination, or while that fails to stderr: journals and terminals usually have it."""
        if self._guarded(lambda: self._place.write(lines)):
            self._failing = False
            with self._guard:
                self._written_total += len(lines)
        else:
            self._complain(lines)

    def _guarded(self, act: Callable[[], None]) -> bool:
        """Do it; a failure is said on stderr once, until something has been written again."""
        try:
            act()
        except OSError as error:
            if not self._failing:
                self._failing = True
                failed = codes.LOG_WRITE_FAILED
                why = {"destination": self._settings.destination, "why": error.strerror or str(error)}
                self._complain([ljson(Record(self._now(), "error", failed.name, failed.text, why))])
            return False
        return True

    def _complain(self, lines: list[str]) -> None:
        try:
            self._stderr.write(lines)
        except OSError:
            with self._guard:
                self._dropped += len(lines)
                self._dropped_total += len(lines)
