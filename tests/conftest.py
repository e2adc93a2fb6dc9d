"""Fixtures for all rooms. Those that need something of the machine say in one sentence what is missing, and skip."""

import pytest

pytest.register_assert_rewrite("tests.e2e")  # the runs are no test modules, and their assertions count as any

pytest_plugins = ["tests.fixtures_engine", "tests.codes_heard"]
