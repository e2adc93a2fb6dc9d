"""What the daemon has in memory when it is ready, laid out for long use."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LARGE_BYTES = 2 * 2**20
MADV_COLLAPSE = 25  # Linux 6.1; Python's mmap module does not know it
SMAPS = Path("/proc/self/smaps")


def keep_what_is_there() -> None:
    """What has been imported and read by now stays.

    So the collector of garbage need not look at it again and again: 29 ms for 79,000 objects, in which nobody's
    keystroke is answered. And it is worth large pages, for while the engine works the processor forgets where small
    ones are.
    """
    gc.collect()
    gc.freeze()
    gather()


class Area(NamedTuple):
    """Some of our address space, from `start` to before `end`; `resident` of its bytes are there."""

    start: int
    end: int
    resident: int


def gather() -> None:
    """Move what is in memory to large pages. Where the kernel cannot, or has none to give, it stays where it is."""
    with suppress(OSError, AttributeError):  # no /proc, no madvise
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for area in areas(SMAPS.read_text().splitlines()):
            start, end = -(-area.start // LARGE_BYTES) * LARGE_BYTES, area.end // LARGE_BYTES * LARGE_BYTES
            # Of an area that is mostly empty, as a thread's stack is, a large page would be so too.
            if start < end and area.resident * 2 >= area.end - area.start:
                madvise(start, end - start, MADV_COLLAPSE)


def areas(smaps: list[str]) -> Iterator[Area]:
    """Those that can be written to and are of no file, of `/proc/PID/smaps` (proc(5))."""
    start = end = 0
    for line in smaps:
        words = line.split()
        if not words[0].endswith(":"):
            start, end = (int(word, 16) for word in words[0].split("-"))
            name = "".join(words[5:6])
            if not words[1].startswith("rw") or not (name in ("", "[heap]") or name.startswith("[anon")):
                start = end = 0
        elif words[0] == "Rss:" and end:
            yield Area(start, end, int(words[1]) * 1024)
