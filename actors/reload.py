"""Reading the configuration again: what is read, made ready and waited for beside the server machine's events."""

from collections.abc import Awaitable, Callable

import trio
from msgspec import Struct

from actors.ports import OutsideFault
from protocol.server import AnswerReload, ReloadWanted
from protocol.settings import Settings
from protocol.settings_diff import changes, with_kept
from protocol.settings_problem import SettingsError

READ_S = 30.0  # a file on a share that hangs must not keep the next reload from being answered
NO_FILE = "this server was given its settings by a program, and there is no file to read again"

Reread = Callable[[], Settings]  # in a thread of its own. Raises SettingsError or `OutsideFault`
InThread = Callable[[Reread], Awaitable[Settings]]
Prepare = Callable[[Settings], Awaitable[Callable[[], None]]]  # Raises `OutsideFault`


class Reloaded(Struct, frozen=True):
    """How a reload ended, for who asked. With an `error`, the old configuration stays."""

    error: str = ""
    changes: tuple[str, ...] = ()
    serving: bool = True


class Ready(Struct, frozen=True):
    """Settings that can be used, what is new in them, and the call that puts them in force, which cannot fail."""

    settings: Settings
    changes: tuple[str, ...]
    adopt: Callable[[], None]


async def in_thread(reread: Reread) -> Settings:
    return await trio.to_thread.run_sync(reread, abandon_on_cancel=True)


class Reloads:
    """`current` is what is in force. `reread` gives what the file says by now, `prepare` makes it usable."""

    def __init__(
        self, current: Settings, reread: Reread | None, prepare: Prepare, in_thread: InThread = in_thread
    ) -> None:
        self.current = current
        self.post: Callable[[ReloadWanted], None] = lambda event: None  # the server actor's
        self._reread, self._prepare, self._in_thread = reread, prepare, in_thread
        self._ready: dict[int, Ready] = {}
        self._waiting: dict[int, trio.Event] = {}
        self._answers: dict[int, Reloaded] = {}
        self._count = 0
        self._ended = False

    def want(self, by: str) -> int:
        """Ask for a reload; the number is for `answer_to`."""
        self._count += 1
        self.post(ReloadWanted(attempt=self._count, asked_by=by))
        return self._count

    async def reload(self, by: str) -> Reloaded:
        """Ask for one, and wait until it is adopted or refused."""
        if self._ended:
            return Reloaded("the server has stopped", serving=False)
        attempt = self._count + 1
        self._waiting[attempt] = told = trio.Event()
        self.want(by)
        await told.wait()
        return self._answers.pop(attempt)

    # For the server actor.

    async def read(self, attempt: int) -> Ready:
        """Raises `OutsideFault` with all that is wrong."""
        if self._reread is None:
            raise OutsideFault("invalid", NO_FILE)
        try:
            with trio.fail_after(READ_S):
                read = await self._in_thread(self._reread)
        except trio.TooSlowError:
            raise OutsideFault("timeout", f"it could not be read within {READ_S:g} s") from None
        except SettingsError as error:
            raise OutsideFault("invalid", "; ".join(map(str, error.problems))) from error
        settings = with_kept(self.current, read)
        found = tuple(str(change) for change in changes(self.current, read))
        ready = self._ready[attempt] = Ready(settings, found, await self._prepare(settings))
        return ready

    def adopt(self, attempt: int) -> None:
        ready = self._ready.pop(attempt)
        self.current = ready.settings
        ready.adopt()

    def answer(self, answer: AnswerReload, serving: bool) -> None:
        self._ready.pop(answer.attempt, None)
        told = self._waiting.pop(answer.attempt, None)
        if told is not None:
            self._answers[answer.attempt] = Reloaded(answer.why, answer.changes, serving)
            told.set()

    def end(self) -> None:
        """The server has stopped: nobody waits for ever."""
        self._ended = True
        for attempt in tuple(self._waiting):
            self.answer(AnswerReload(attempt=attempt, why="the server has stopped"), serving=False)
