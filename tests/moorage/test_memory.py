"""What is in memory at the start is left alone by the collector of garbage, and lies in large pages."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from moorage.memory import Area, areas, keep_what_is_there

SMAPS = """\
55d0c8a00000-55d0c8c00000 r-xp 00000000 fe:00 1 /usr/bin/python3.11
Rss:                2048 kB
55d0c9a00000-55d0c9e00000 rw-p 00000000 00:00 0                          [heap]
Size:               4096 kB
Rss:                3000 kB
Pss:                3000 kB
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
Rss:                   8 kB
7f0001000000-7f0001200000 rw-p 00000000 00:00 0                          [anon: glibc: malloc]
Rss:                2048 kB
7f0002000000-7f0002200000 rw-p 00000000 fe:00 2 /usr/lib/libcrypto.so.3
Rss:                2048 kB
VmFlags: rd wr mr mw me ac sd
"""
GATHERED = """\
import moorage
from moorage.memory import gather
kept = [bytes([number % 250]) * 600 for number in range(40_000)]
gather()
assert all(kept[number][0] == number % 250 for number in range(40_000))
print(next(line for line in open("/proc/self/smaps_rollup") if line.startswith("AnonHugePages")))
"""


def test_what_is_there_is_looked_at_by_no_collection() -> None:
    before = gc.get_freeze_count()
    try:
        keep_what_is_there()
        assert gc.get_freeze_count() > before + 1000
        assert len(gc.get_objects()) < 1000
    finally:
        gc.unfreeze()


def test_areas_are_those_that_are_of_no_file() -> None:
    assert list(areas(SMAPS.splitlines())) == [
        Area(0x55D0C9A00000, 0x55D0C9E00000, 3000 * 1024),
        Area(0x7F0000000000, 0x7F0000800000, 8 * 1024),
        Area(0x7F0001000000, 0x7F0001200000, 2048 * 1024),
    ]


def test_what_is_there_lies_in_large_pages_and_is_what_it_was() -> None:
    try:
        offered = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        offered = "[never]"
    done = subprocess.run([sys.executable, "-c", GATHERED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if "[never]" in offered or kernel() < (6, 1):
        pytest.skip("this kernel gathers nothing on demand, and is none the worse for it")
    assert int(done.stdout.split()[1]) >= 8 * 1024


def kernel() -> tuple[int, int]:
    major, minor = Path("/proc/sys/kernel/osrelease").read_text().split(".")[:2]
    return int(major), int(minor.split("-")[0])
