"""Fixtures for all rooms. Those that need something of the machine say in one sentence what is missing, and skip.

With MOORAGE_REQUIRE_ENGINE=1 no test of the outside may be skipped, however it came to that.
"""

import os
import signal
from collections.abc import Generator

import pytest

pytest.register_assert_rewrite("tests.e2e")  # the runs are no test modules, and their assertions count as any

pytest_plugins = ["tests.fixtures_engine", "tests.codes_heard", "tests.shares"]

OUTSIDE = ("engine", "registry", "openssh")

# `nohup` and shells' background jobs have them ignored, and so would every process that a test sends one to.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skipped by a mark, by a fixture or by itself: where everything has to be there, that is a failure."""
    report = yield
    expected = hasattr(report, "wasxfail")
    marks = [name for name in OUTSIDE if item.get_closest_marker(name)]
    if report.skipped and not expected and marks and os.environ.get("MOORAGE_REQUIRE_ENGINE") == "1":
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"a test marked {', '.join(marks)} may not be skipped with MOORAGE_REQUIRE_ENGINE=1: {why}"
    return report
