"""Every run, from connect to the removal of the last container; its recording shows what it is there for."""

from typing import Any

import pytest

from tests.e2e.runs import Run, Setup, all_runs
from tests.e2e.scenarios import keep

pytestmark = pytest.mark.trio


def marked(run: Run) -> Any:
    return pytest.param(run, id=run.name, marks=[getattr(pytest.mark, need) for need in run.needs])


@pytest.mark.parametrize("run", [marked(run) for run in all_runs().values()])
async def test_run(run: Run, setup: Setup) -> None:
    await run.go(setup)
    run.recording(setup)
    keep(run, setup)
