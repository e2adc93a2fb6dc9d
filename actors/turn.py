"""A turn: what has come in is taken, the actors that it concerns take their steps, and what they say goes out.

All of it is done before anybody waits again, so an answer costs no trip through a scheduler, and what one connection is
sent in one turn leaves in one write.
"""

from collections.abc import Callable
from types import TracebackType

Call = Callable[[], None]
Fail = Callable[[Exception], None]


def _raise(error: Exception) -> None:
    raise error


class Turn:
    """`with turn:` around what takes something in; the end of the outermost one is the end of the turn.

    What fails at the end holds up nobody else's part in it: `fail` is told. `comes` says whether one that is wanted is
    taken before anybody waits.
    """

    def __init__(self, fail: Fail = _raise, comes: Callable[[], bool] = lambda: False) -> None:
        self._fail, self._comes = fail, comes
        self.is_wanted = False
        self._depth = 0
        self._steps: list[Call] = []
        self._sends: list[Call] = []

    @property
    def is_on(self) -> bool:
        return self._depth > 0

    def want(self) -> bool:
        """There are steps to take. False: not in a turn that comes by itself; who asks has to take one."""
        self.is_wanted = self.is_wanted or self._comes()
        return self.is_wanted

    def join(self, step: Call) -> None:
        """`step` works off, at the end of each turn, what there is for a world's actors to do."""
        self._steps.append(step)

    def leave(self, step: Call) -> None:
        self._steps.remove(step)

    def send_later(self, send: Call) -> None:
        """At the end of this turn, once all steps are taken; at once when there is none."""
        if self._depth:
            self._sends.append(send)
        else:
            send()

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._depth == 1:
                self.is_wanted = False
                for step in tuple(self._steps):
                    self._do(step)
                while self._sends:  # what is sent may end a connection, whose steps are the next turn's
                    self._do(self._sends.pop(0))
        finally:
            self._depth -= 1

    def _do(self, call: Call) -> None:
        try:
            call()
        except Exception as error:
            self._fail(error)
