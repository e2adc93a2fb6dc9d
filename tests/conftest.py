"""Fixtures for all rooms. Those that need something of the machine say in one sentence what is missing, and skip."""

pytest_plugins = ["tests.fixtures_engine"]
