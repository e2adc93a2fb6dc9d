"""Everything that was ever found, and a few new ones each time."""

import random

import pytest

from tests.fuzz.__main__ import FOUND, fuzz
from tests.fuzz.bend import bend
from tests.fuzz.targets import TARGETS

each = pytest.mark.parametrize("name", TARGETS)
KEPT = sorted(path for path in FOUND.glob("*/*") if path.is_file())


@each
def test_good_ones_and_bent_ones(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    for data in seeds:
        target.run(data)
    dice = random.Random(name)
    for _ in range(60 if name == "settings" else 600):
        target.run(bend(dice, seeds))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found(path: object) -> None:
    assert hasattr(path, "parent") and hasattr(path, "read_bytes")
    TARGETS[path.parent.name.replace("_", " ")].run(path.read_bytes())


@pytest.mark.slow
@each
def test_for_a_while(name: str) -> None:
    assert fuzz(name, TARGETS[name], 30.0, seed=1)[1] == 0
