"""Every recording in `scenarios/` replays: today's tables give each of its answers again."""

import io
from pathlib import Path

import pytest

from moorage.explain import story
from moorage.replay import replay_command
from protocol.ledger import read

FOLDER = Path(__file__).parents[2] / "scenarios"
FILES = sorted(FOLDER.rglob("*.jsonl"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_replays_equal(path: Path) -> None:
    out = io.StringIO()
    assert replay_command([str(path)], False, False, out) == 0, out.getvalue()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_story_is_told_and_holds_no_refusal(path: Path) -> None:
    told = list(story(read(path.read_bytes())))
    assert len(told) > 2
    assert not [line for line in told if "REFUSED" in line or "unreadable" in line]
