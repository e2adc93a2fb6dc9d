"""`python -m tests.e2e.record [NAME…]`: run these (by default all), and write their scenarios and the table of them."""

import os
import subprocess
import sys
from collections.abc import Sequence

from tests.e2e.runs import all_runs
from tests.e2e.scenarios import FOLDER, HOME, KEEP_IN, README, table


def main(names: Sequence[str]) -> int:
    """The exit code: pytest's, because the runs are tests; 2 for a name that no run has."""
    runs = all_runs()
    if unknown := [name for name in names if name not in runs]:
        print(f"no such run: {', '.join(unknown)}; tests/e2e/ has {', '.join(runs)}", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    tests = [f"tests/e2e/test_runs.py::test_run[{name}]" for name in names or runs]
    environ = {**os.environ, KEEP_IN: str(FOLDER), "MOORAGE_REQUIRE_ENGINE": "1"}
    status = subprocess.run([sys.executable, "-m", "pytest", "-q", *tests], cwd=HOME, env=environ).returncode
    if not names:
        for path in FOLDER.glob("*.jsonl"):
            if path.stem not in runs:
                path.unlink()
    README.write_text(table(runs))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
