"""Parts to test with, ours and yours: a container engine in memory that passes the real engine's contract suite."""

from moorage.testing.engine import FakeEngine, FakeImage
from moorage.testing.failpoints import Failpoints

__all__ = ["Failpoints", "FakeEngine", "FakeImage"]
