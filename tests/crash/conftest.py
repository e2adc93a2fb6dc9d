"""The same image and the same empty folder as for whole runs."""

from tests.e2e.conftest import guest, setup

__all__ = ["guest", "setup"]
