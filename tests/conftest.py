"""Fixtures for all rooms. Those that need something of the machine say in one sentence what is missing, and skip.

With MOORAGE_REQUIRE_ENGINE=1 no test of the outside may be skipped, however it came to that.
"""

import os
from collections.abc import Generator

import pytest

pytest.register_assert_rewrite("tests.e2e")  # the runs are no test modules, and their assertions count as any

pytest_plugins = ["tests.fixtures_engine", "tests.codes_heard"]

OUTSIDE = ("engine", "registry", "openssh")


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
