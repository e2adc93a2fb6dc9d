"""What decides whether a change lands runs every test of the outside: a skipped one fails, whoever skipped it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
TESTS = """
import pytest

@pytest.fixture
def nothing_here():
    pytest.skip("by its fixture")

@pytest.mark.engine
def test_by_its_fixture(nothing_here): ...

@pytest.mark.openssh
@pytest.mark.skipif(True, reason="by its mark")
def test_by_its_mark(): ...

@pytest.mark.registry
def test_by_itself():
    pytest.skip("by itself")

@pytest.mark.engine
@pytest.mark.xfail(strict=True)
def test_known_to_fail():
    raise AssertionError

@pytest.mark.skip(reason="needs nothing of the outside")
def test_of_the_inside(): ...

@pytest.mark.engine
def test_that_runs(): ...
"""


def outcome(folder: Path, required: str, *more: str) -> tuple[int, str, str]:
    """Exit code, closing line and all output of a run of `TESTS` with this project's own hooks and settings."""
    (folder / "test_outside.py").write_text(TESTS)
    words = ["-c", str(HOME / "pyproject.toml"), "-p", "tests.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *more, "--rootdir", str(folder), str(folder)],
        cwd=folder,
        env=os.environ | {"MOORAGE_REQUIRE_ENGINE": required, "PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, re.sub(r"[= ]*in .*", "", done.stdout.splitlines()[-1]).strip("= "), done.stdout


def test_a_skipped_test_of_the_outside_fails(tmp_path: Path) -> None:
    status, line, out = outcome(tmp_path, "1", "-n2")  # as `make test` has it
    assert (status, line) == (1, "1 failed, 1 passed, 1 skipped, 1 xfailed, 2 errors")
    for mark, why in (("engine", "by its fixture"), ("openssh", "by its mark"), ("registry", "by itself")):
        assert re.search(f"a test marked {mark} may not be skipped .*{why}", out)


@pytest.mark.parametrize("required", ["", "0"])
def test_where_they_are_not_required_they_are_skipped(tmp_path: Path, required: str) -> None:
    assert outcome(tmp_path, required)[:2] == (0, "1 passed, 4 skipped, 1 xfailed")
