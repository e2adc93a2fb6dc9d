"""What a measurement found: numbers of each contender, taken in turns, and which of them are to be compared."""

from typing import Literal

from msgspec import Struct

from benchmarks.stats import Ratio, ratio

Unit = Literal["ms", "MiB/s", "KiB", "s", "logins/s", "/s", "bytes"]
RATES = ("MiB/s", "logins/s", "/s")  # the more the better


class Promise(Struct, frozen=True):
    """A ratio or a number that the design promises. `at_most` holds unless the whole interval is above `bound`."""

    text: str
    bound: float
    at_most: bool = True

    def holds(self, low: float, high: float) -> bool:
        return low <= self.bound if self.at_most else high >= self.bound


class Comparison(Struct, frozen=True):
    """Of two contenders of one group, ours first."""

    ours: str
    theirs: str
    promise: Promise | None = None


class Group(Struct, frozen=True, kw_only=True):
    """One table: `values` by contender, all of one length and in the order of the rounds, in `unit`."""

    key: str
    title: str
    unit: Unit
    values: dict[str, list[float]]
    comparisons: tuple[Comparison, ...] = ()
    bounds: dict[str, Promise] = {}
    note: str = ""

    def ratio(self, comparison: Comparison) -> Ratio:
        return ratio(self.values[comparison.ours], self.values[comparison.theirs])


SCALE = {"ms": 1000.0, "MiB/s": 1 / 1024**2, "KiB": 1 / 1024, "s": 1.0, "logins/s": 1.0, "/s": 1.0, "bytes": 1.0}


def column(found: dict[str, list[tuple[float, ...]]], place: int, unit: Unit) -> dict[str, list[float]]:
    """One value of each tuple, from seconds or bytes to `unit`."""
    return {name: [row[place] * SCALE[unit] for row in rows] for name, rows in found.items()}
