"""What is said about a series of numbers: median, p95, and how two series that were taken in turns compare."""

from collections.abc import Callable, Sequence
from math import ceil
from random import Random
from statistics import median

from msgspec import Struct

RESAMPLES = 4000


class Ratio(Struct, frozen=True):
    """The median of the paired ratios, and between which values 95 % of its bootstrap resamples lie."""

    middle: float
    low: float
    high: float


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least so many percent of them do not exceed."""
    return sorted(values)[ceil(percent / 100 * len(values)) - 1]


def p95(values: Sequence[float]) -> float:
    """Of fewer than 20 values it is the largest."""
    return percentile(values, 95)


def ratio(ours: Sequence[float], theirs: Sequence[float], seed: int = 1) -> Ratio:
    """Ours divided by theirs, round by round: what slows a round down slows both, and falls out."""
    assert len(ours) == len(theirs) > 0, "a ratio is of pairs"
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    dice = Random(seed)
    middles = sorted(median(dice.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return Ratio(median(pairs), middles[int(0.025 * RESAMPLES)], middles[int(0.975 * RESAMPLES) - 1])


def in_turns(
    contenders: dict[str, Callable[[], Sequence[float]]],
    rounds: int,
    dice: Random,
    between: Callable[[], None] = lambda: None,
) -> dict[str, list[tuple[float, ...]]]:
    """Each contender once a round, in an order drawn anew; `between` runs before each. One tuple a round and contender.

    A round before the first warms up caches and is not kept.
    """
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in dice.sample(list(contenders), len(contenders)):
            between()
            values = tuple(contenders[name]())
            if number:
                found[name].append(values)
    return found
