"""A turn: what has come in is taken, the actors that it concerns take their steps, and what they say goes out.

All of it is done before anybody waits again, so an answer costs no trip through a scheduler, and what one connection is
sent in one turn leaves in one write.
"""

from collections.abc import Callable
from types import TracebackType

Call = Callable[[], None]


class Turn:
    """`with turn:` around what takes something in; the end of the outermost one is the end of the turn."""

    def __init__(self) -> None:
        self._depth = 0
        self._steps: list[Call] = []
        self._sends: list[Call] = []

    @property
    def is_on(self) -> bool:
        return self._depth > 0

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
                for step in tuple(self._steps):
                    step()
                self._send()
        finally:
            self._depth -= 1

    def _send(self) -> None:
        """What is sent may end a connection, which has more to say and steps to take: those are the next turn's."""
        while self._sends:
            self._sends.pop(0)()
