"""What the machines share: when to ask again, and how long to wait before."""

from fsm.kernel import Cell, Effects
from protocol.base import INTERNAL_ATTEMPTS_MAX, PERMANENT, Fault

BACKOFF = "backoff"
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0
BACKOFF_BRIEF_S = 1.0  # where an engine that is back must find us waiting


class RetryCell(Cell):
    """A cell that counts how often the order under way has failed. `why`: the engine's words at the last of them."""

    tries: int = 0
    why: str = ""


def may_try_again(cell: RetryCell, fault: Fault) -> bool:
    """Transient, and not the engine's same internal error time and again."""
    if fault.fault in PERMANENT:
        return False
    return fault.fault != "internal" or cell.tries + 1 < INTERNAL_ATTEMPTS_MAX


def back_off(cell: RetryCell, fault: Fault) -> Effects:
    """From 100 ms, doubled, up to 5 s; the fault's dice takes up to half of it off, so that retries spread."""
    return _wait(cell, fault, BACKOFF_MAX_S)


def back_off_briefly(cell: RetryCell, fault: Fault) -> Effects:
    """The same up to 1 s: for what is there until the engine has been asked again."""
    return _wait(cell, fault, BACKOFF_BRIEF_S)


def _wait(cell: RetryCell, fault: Fault, longest_s: float) -> Effects:
    cell.tries, cell.why = cell.tries + 1, fault.why
    longest = min(longest_s, BACKOFF_FIRST_S * 2 ** min(cell.tries - 1, 10))
    cell.seconds[BACKOFF] = round(longest * (1.0 - fault.dice / 2), 4)
    return ()


def last_try(cell: RetryCell) -> str:
    """What a person needs to know beside "it took too long"."""
    return f"; the last try: {cell.why}" if cell.tries else ""
