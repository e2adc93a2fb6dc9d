"""`python -m tests.fuzz`: bend good inputs for as long as you like, and keep what breaks a target.

What is found lies in tests/fuzz/found/TARGET/ and is tried by `make test` from then on. With `--guided TARGET` (and
`pip install atheris`) inputs that reach new code are followed up.
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


def guided(name: str, seconds: float) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris  # type: ignore[import-not-found]

    target = TARGETS[name]
    corpus = FOUND.parent / "corpus" / name.replace(" ", "_")
    corpus.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / sha256(data).hexdigest()[:16]).write_bytes(data)
    (FOUND / name.replace(" ", "_")).mkdir(parents=True, exist_ok=True)
    prefix = f"-artifact_prefix={FOUND / name.replace(' ', '_')}/"
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds:.0f}", "-timeout=10", prefix, str(corpus)], target.run)
    atheris.Fuzz()


def main() -> int:
    """Exit codes: 0 nothing found, 1 something."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description="Bend what we read until it breaks.")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--only", action="append", choices=list(TARGETS), default=[])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--guided", choices=list(TARGETS), help="by coverage, with atheris")
    words = parser.parse_args()
    if words.guided:
        guided(words.guided, words.seconds)
    found = 0
    for name in words.only or TARGETS:
        tried, bad = fuzz(name, TARGETS[name], words.seconds, words.seed)
        print(f"{name}: {tried:,} inputs, {bad} findings (seed {words.seed})", flush=True)
        found += bad
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
