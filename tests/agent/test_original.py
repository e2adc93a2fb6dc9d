"""The exit codes of ContainerSSH's own agent beside ours, word for word: agent/README.md has the table.

MOORAGE_CONTAINERSSH_AGENT names its binary, which is not part of Moorage. Without one, nothing can be compared here.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.agent.guest import clean_env
from tests.agent.test_compat import CODES, GONE

README = Path(__file__).parent.parent.parent / "agent" / "README.md"
# Where ours differs on purpose: words -> the original's code.
ON_PURPOSE = {
    "console": 2,
    "console -- true": 127,
    f"signal --pid {GONE} --signal TERM": 3,
    "signal --pid 99999999999 --signal TERM": 3,
    "wait-signal --message": 2,
}
SHARED = [row for row in CODES if not row[1].startswith("serve")]


@pytest.fixture(scope="module")
def original() -> str:
    given = os.environ.get("MOORAGE_CONTAINERSSH_AGENT", "")
    if not given:
        pytest.skip("MOORAGE_CONTAINERSSH_AGENT does not name ContainerSSH's agent, which is built elsewhere")
    return given


@pytest.mark.parametrize(("code", "words", "stdin"), [row[:3] for row in SHARED], ids=[row[1] for row in SHARED])
def test_the_original_gives_the_same_code(original: str, code: int, words: str, stdin: bytes) -> None:
    done = subprocess.run(
        [original, *words.split()], input=stdin, capture_output=True, env=clean_env(), check=False, timeout=20
    )
    assert done.returncode == ON_PURPOSE.get(words, code), done.stderr


def test_the_table_says_how_often_they_agree() -> None:
    """So that a new row of CODES is compared, and the page told, before it is believed."""
    ours = {words: code for code, words, _, _ in SHARED}
    assert all(ours[words] != code for words, code in ON_PURPOSE.items())
    assert f"{len(SHARED) - len(ON_PURPOSE)} of {len(SHARED)} calls" in README.read_text()
