"""Parts to test with, ours and yours: a container engine in memory that passes the real engine's contract suite."""

from moorage.testing.engine import FakeEngine
from moorage.testing.failpoints import Failpoints
from moorage.testing.fake_container import FakeImage

__all__ = ["Failpoints", "FakeEngine", "FakeImage"]
