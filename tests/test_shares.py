"""Two processes that share the tests are one run: each test once, one count, and the last word over what both heard."""

import os
import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parent.parent
HEARS = """
import os
import pytest
from tests.codes_heard import HEARD

@pytest.mark.parametrize("number", range(4))
def test_hears(number, request):
    HEARD.add(f"{request.path.stem} {number}")
    with open("ran", "a") as out:
        out.write(f"{request.path.stem} {number} {os.getpid()}\\n")
"""
LAST = """
from tests.codes_heard import HEARD

def test_every_code_is_hit():
    with open("heard", "w") as out:
        out.write("\\n".join(sorted(HEARD)))
    assert len(HEARD) == 24
"""
FILES = ("e2e/test_first.py", "e2e/test_second.py", "test_a.py", "test_b.py", "test_c.py", "test_d.py")


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, closing line and all output of a run of `FILES` and the last test with this project's hooks."""
    tests = folder / "tests"
    for name in FILES:
        (tests / name).parent.mkdir(parents=True, exist_ok=True)
        (tests / name).write_text(HEARS)
    (tests / "test_codes_said.py").write_text(LAST)
    place = ["-c", str(HOME / "pyproject.toml"), "--rootdir", str(folder)]
    plugins = ["-p", "tests.codes_heard", "-p", "tests.shares", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n2", *place, *plugins, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, re.sub(r"[= ]*in .*", "", done.stdout.splitlines()[-1]).strip("= "), done.stdout


def test_each_test_once_and_the_last_word_over_all(tmp_path: Path) -> None:
    """Nobody has heard one of them: that fails the whole run, as it does where one process runs all."""
    status, line, out = run(tmp_path, "--deselect", "tests/test_b.py::test_hears[2]")
    assert (status, line) == (1, "1 failed, 23 passed"), out
    assert "FAILED tests/test_codes_said.py::test_every_code_is_hit" in out
    ran = [one.split() for one in (tmp_path / "ran").read_text().splitlines()]
    assert sorted(f"{file} {number}" for file, number, _ in ran) == (tmp_path / "heard").read_text().splitlines()
    first, other = ([file for file, _, one in ran if one == pid] for pid in dict.fromkeys(pid for _, _, pid in ran))
    if other[0] == "test_first":
        first, other = other, first
    assert first[:4] == ["test_first"] * 4 and other[:4] == ["test_d"] * 4


def test_a_part_has_no_last_word(tmp_path: Path) -> None:
    assert run(tmp_path, "tests/e2e", "tests/test_codes_said.py")[:2] == (0, "8 passed")
    assert not (tmp_path / "heard").exists()
