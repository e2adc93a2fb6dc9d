"""The tables and the messages are small and pure: their own tests take every line and every branch of them.

The dice of the property tests are fixed here, so that a line which only they happen to reach is not counted as tested
today and as missing tomorrow.
"""

import os
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parent.parent
ROOMS = ("fsm", "protocol")


def test_every_branch_of_the_pure_rooms_is_taken(tmp_path: Path) -> None:
    coverage = [sys.executable, "-m", "coverage"]
    tests = [f"tests/{room}" for room in ROOMS]
    env = os.environ | {"COVERAGE_FILE": str(tmp_path / "coverage")}
    measured = ["run", "--branch", f"--source={','.join(ROOMS)}", "-m"]
    words = ["pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=ci", "--hypothesis-seed=0", *tests]
    ran = subprocess.run([*coverage, *measured, *words], cwd=HOME, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    words = ["report", "--show-missing", "--skip-covered", "--fail-under=100", "--precision=2"]
    report = subprocess.run([*coverage, *words], cwd=HOME, env=env, capture_output=True, text=True, check=False)
    assert report.returncode == 0, report.stdout + report.stderr
    assert "100.00%" in report.stdout
