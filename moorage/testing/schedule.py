"""Seeded task order: the one place that knows trio's private switch for it.

Trio flips a coin about the order of the tasks that are ready at once, on purpose. With a seed the coin is ours: one
seed explores one order and always the same. Replay never rests on this, only the search for bad orders does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from trio._core import _run


@contextmanager
def seeded_schedule(seed: int) -> Iterator[None]:
    """Within the block `trio.run` takes ready tasks in an order drawn from `seed`."""
    before = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()
    setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)  # noqa: B010 (declared Final there)
    _run._r.seed(seed)
    try:
        yield
    finally:
        setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", before[0])  # noqa: B010
        _run._r.setstate(before[1])
