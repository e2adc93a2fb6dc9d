"""What must hold of a simulated run, asked from outside: none of it is known to the code under test."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from actors.actor import PEER_EVENTS_MAX
from actors.recorder import Recorder, Recording, SharedLog
from fsm.fingerprint import fingerprints
from fsm.kernel import Answer, Moved, Refused
from fsm.machines import MACHINES
from moorage.replay import replay
from moorage.testing.visits import Visit
from moorage.testing.wrong import Stuck, Wrong, expect
from moorage.version import VERSION
from protocol.base import Event, Fault
from protocol.codes import Code
from protocol.ledger import Header, read

# What no run may say, whatever the weather. An error that the simulation itself makes says MOORAGE_CONNECTION_CRASHED.
NEVER = frozenset({"MOORAGE_REFUSED", "MOORAGE_ACTOR_CRASHED", "MOORAGE_SHIM_FAILED", "MOORAGE_RECORD_FAILED"})
STEPS_MAX = 60_000  # of one run: beyond this it goes round in circles
# Beside what a peer may pile up, a mailbox holds outcomes, deadlines and what other actors tell: some for each session.
MAILBOX_MAX = PEER_EVENTS_MAX + 64
SENTENCE = re.compile(rb"moorage: .*\(([A-Z]+_[A-Z_]+)\)\r\n")
FINGERPRINTS = fingerprints(MACHINES)
NOT_RUN, LOST, KILLED, TERMINATED = 125, 255, 137, 143


class Watch:
    """Looks on: each step of each actor, and each code that is said. `marks` are what this run has seen."""

    def __init__(self) -> None:
        self.marks: Counter[str] = Counter()
        self.steps = 0
        self.mailbox_most = 0
        self.on_enter: Callable[[str, str, str], None] = lambda actor, machine, state: None
        self.on_final: Callable[[str, str], None] = lambda actor, machine: None
        self.waiting: Callable[[str], int] = lambda actor: 0
        self._trace = sha256()
        self._said: list[tuple[Code, Mapping[str, Any]]] = []

    @property
    def digest(self) -> str:
        """Of all steps: two runs of one seed have the same."""
        return self._trace.hexdigest()

    def said(self, code: Code) -> int:
        return sum(one is code for one, _ in self._said)

    def say(self, code: Code, details: Mapping[str, Any]) -> None:
        """The log of the daemon under test."""
        self._said.append((code, details))
        self.marks[f"code {code.name}"] += 1
        if code.name in NEVER:
            raise Wrong(f"{code.name} was said: {details}")

    def step(self, actor: str, machine: str, event: Event, answer: Answer) -> None:
        """One step, just answered, before its effects are handed out."""
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise Stuck(f"{STEPS_MAX} steps and no end: {actor} on {event}")
        self._trace.update(f"{actor} {type(event).__name__} {answer}\n".encode())
        if isinstance(event, Fault):
            self.marks[f"fault {event.fault}"] += 1
        waiting = self.waiting(actor)
        self.mailbox_most = max(self.mailbox_most, waiting)
        expect(waiting <= MAILBOX_MAX, f"{waiting} events wait in the mailbox of {actor}")
        if isinstance(answer, Refused):
            raise Wrong(f"{actor} refused {event} in {answer.source}")
        if isinstance(answer, Moved):
            self.marks[f"row {answer.row}"] += 1
            if answer.target != answer.source:
                self.on_enter(actor, machine, answer.target)
            if answer.target in MACHINES[machine].final:
                self.on_final(actor, machine)


class WatchedRecording(Recording):
    def write(self, actor: str, machine: str, event: Event, answer: Answer) -> None:
        super().write(actor, machine, event, answer)
        assert isinstance(self._recorder, WatchedRecorder)
        self._recorder.watch.step(actor, machine, event, answer)


class WatchedLog(SharedLog):
    def write(self, actor: str, machine: str, event: Event, answer: Answer) -> None:
        super().write(actor, machine, event, answer)
        assert isinstance(self._recorder, WatchedRecorder)
        self._recorder.watch.step(actor, machine, event, answer)


class WatchedRecorder(Recorder):
    """The daemon's recorder, with somebody who looks on. The wall clock of a simulation counts recordings."""

    def __init__(self, watch: Watch, directory: Path, clock: Callable[[], float], header: Header) -> None:
        self.watch, self._opened = watch, 0
        super().__init__(directory, clock, header, self._failed, self._tick)

    def open(self, connection: str) -> Recording:
        recording = WatchedRecording(self, connection)
        self.recordings.add(recording)
        return recording

    def share(self) -> SharedLog:
        return WatchedLog(self)

    def _tick(self) -> datetime:
        self._opened += 1
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._opened)

    def _failed(self, why: str) -> None:
        raise Wrong(why)


def check_recordings(directory: Path) -> None:
    """Each is whole, and today's tables give every recorded answer again."""
    expect(not list(directory.glob("*.part")), "a recording is not finished")
    for path in sorted(directory.glob("*.jsonl")):
        scenario = read(path.read_bytes())
        expect(not scenario.damage, f"{path.name}: {'; '.join(scenario.damage)}")
        _, differences = replay(scenario)
        expect(not differences, f"{path.name} replays otherwise:\n{differences[:1]}")


def check_told(visit: Visit, disturbed: bool, daemon_was_killed: bool) -> str:
    """How this session ended, in one of the ways of `ENDS`. Raises `Wrong` if its client was not told.

    `disturbed`: something else than the client may have ended its program.
    """
    channel, client = visit.channel, visit.channel.client
    codes = {code.decode() for code in SENTENCE.findall(bytes(channel.err))}
    if channel.status is not None or channel.signal:
        _check_exit(visit, codes, disturbed)
    if channel.signal:
        return "end: exit signal"
    if channel.status in (NOT_RUN, LOST):
        return f"end: exit status and a sentence, {channel.status}"
    if channel.status is not None:
        return "end: exit status and a sentence" if codes else "end: exit status"
    if channel.closed_by_client:
        return "end: the client closed the channel"
    if channel.client_was_gone:
        return "end: the client disconnected"
    if daemon_was_killed:
        return "end: the daemon was killed"
    if channel.client_was_silent:
        return "end: the client was silent"
    if channel.dropped:
        return "end: dropped, it did not read"
    if client.told:
        return "end: the connection was closed with a reason"
    raise Wrong(f"{visit} has ended and its client was not told: {bytes(channel.err)[-200:]!r}")


ENDS = (
    "end: exit signal",
    "end: exit status",
    "end: exit status and a sentence",
    f"end: exit status and a sentence, {NOT_RUN}",
    f"end: exit status and a sentence, {LOST}",
    "end: the client closed the channel",
    "end: the client disconnected",
    "end: the daemon was killed",
    "end: the client was silent",
    "end: dropped, it did not read",
    "end: the connection was closed with a reason",
)


def _check_exit(visit: Visit, codes: set[str], disturbed: bool) -> None:
    """The program's own status and output, or a sentence that says why not."""
    channel, job, status = visit.channel, visit.job, visit.channel.status
    if status in (NOT_RUN, LOST) or job is None or not visit.asked:
        expect(bool(codes), f"{visit}: {status} without a sentence: {bytes(channel.err)!r}")
        return
    if channel.signal:
        by_itself = job.status is not None and 128 + NUMBERS.get(channel.signal, 0) == job.status
        expect(
            by_itself or channel.signal in visit.signals or disturbed or bool(codes & TIME_IS_OVER),
            f"{visit}: ended by {channel.signal}, which nobody sent",
        )
        return
    own = {job.status} if job.status is not None else set()
    by_signal = {128 + NUMBERS[name] for name in visit.signals}
    by_others = {KILLED, TERMINATED} if disturbed or codes else set()
    expect(status in own | by_signal | by_others, f"{visit}: status {status}, and no sentence says why: {codes}")
    if status == job.status and not visit.pty and not disturbed and not codes and not visit.signals:
        said = bytes(channel.out if ">&2" not in job.command else channel.err)
        wanted = bytes(visit.sent) if job.reads else job.out
        expect(said == wanted or not wanted, f"{visit}: {len(said)} bytes of output, {len(wanted)} were said")


TIME_IS_OVER = {"MOORAGE_LIMIT_IDLE", "MOORAGE_LIMIT_TOTAL"}
NUMBERS = {"HUP": 1, "INT": 2, "KILL": 9, "USR1": 10, "TERM": 15}


def header(seed: int) -> Header:
    """Of each recording of a simulated run. `settings` say which run."""
    return Header(moorage=VERSION, fingerprint=FINGERPRINTS, settings={"seed": seed})
