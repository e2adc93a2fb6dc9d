"""How two processes share the tests (`make test`, by pytest-xdist): a file at a time, and from both ends.

Whole runs wait most of the time, and some for a limit in time; most other tests keep a core busy. So one process begins
with the first whole run and goes forward, the other begins with the last of the other tests and goes backward, and
where they meet they are done. A process makes what it needs of the outside for itself, under names of its own.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

WHOLE_RUNS = ("tests/e2e/", "tests/crash/")


class FromBothEnds(LoadFileScheduling):
    """The first process takes files from the front, each other one from the back."""

    def _assign_work_unit(self, node: Any) -> None:
        if node is not self.nodes[0]:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FromBothEnds:
    config.option.loadscopereorder = False  # by the number of tests, which says nothing of the time they take
    return FromBothEnds(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(WHOLE_RUNS))
