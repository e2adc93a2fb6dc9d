"""`python -m tests.fuzz`: bend good inputs for as long as you like, and keep what breaks a target.

What is found lies in tests/fuzz/found/TARGET/ and is tried by `make test` from then on. `python -m tests.fuzz.guided
TARGET` (and `pip install atheris`) follows up inputs that reach new code.
"""

import argparse
import random
import sys
import time
from hashlib import sha256
from pathlib import Path

from tests.fuzz.bend import bend
from tests.fuzz.targets import TARGETS, Target

FOUND = Path(__file__).parent / "found"
SLOW_S = 2.0


def keep(name: str, data: bytes) -> Path:
    """Where it lies now."""
    path = FOUND / name.replace(" ", "_") / sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fuzz(name: str, target: Target, seconds: float, seed: int) -> tuple[int, int]:
    """Inputs tried, and those that broke it or took too long."""
    dice, seeds, tried, bad = random.Random(seed), target.seeds(), 0, 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        data = bend(dice, seeds)
        tried, began = tried + 1, time.process_time()
        try:
            target.run(data)
        except Exception as error:
            bad += 1
            print(f"{name}: {type(error).__name__}: {str(error)[:200]} ({keep(name, data)})")
        else:
            if time.process_time() - began > SLOW_S:
                bad += 1
                print(f"{name}: took {time.process_time() - began:.1f} s ({keep(name, data)})")
    return tried, bad


def main() -> int:
    """Exit codes: 0 nothing found, 1 something."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description="Bend what we read until it breaks.")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--only", action="append", choices=list(TARGETS), default=[])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    words = parser.parse_args()
    found = 0
    for name in words.only or TARGETS:
        tried, bad = fuzz(name, TARGETS[name], words.seconds, words.seed)
        print(f"{name}: {tried:,} inputs, {bad} findings (seed {words.seed})", flush=True)
        found += bad
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
