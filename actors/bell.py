"""One deadline that is kept and moved, where a cancel scope would be made for each wait.

It is among trio's own deadlines, so trio wakes for it and a clock that jumps jumps to it. It reaches into private
parts of trio (see descriptors.py).
"""

from collections.abc import Callable
from math import inf
from typing import Any

from trio._core._run import GLOBAL_RUN_CONTEXT


class Bell:
    """Calls `ring` once trio's clock has come to the earliest of the times it was asked for; then it is off."""

    __slots__ = ("_registered_deadline", "_ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._registered_deadline = inf  # as trio looks at it

    def by(self, when: float) -> None:
        """Ring at `when`, if it would not earlier."""
        if when < self._registered_deadline:
            self.stop()
            runner = GLOBAL_RUN_CONTEXT.runner
            self._registered_deadline = when
            runner.deadlines.add(when, self)  # type: ignore[arg-type]
            if runner.is_guest:
                runner.force_guest_tick_asap()

    def stop(self) -> None:
        """Do not ring."""
        if self._registered_deadline != inf:
            deadlines = GLOBAL_RUN_CONTEXT.runner.deadlines
            deadlines.remove(self._registered_deadline, self)  # type: ignore[arg-type]
            self._registered_deadline = inf

    def _cancel(self, _: Any) -> None:
        """trio's word for a deadline that has passed."""
        self.stop()
        self._ring()
