"""The aarch64 agent under qemu, where it was built (`make wheel` does) and Debian's qemu-user-static is here.

The programs that it starts are this machine's own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent.parent
AGENT = HOME / "moorage" / "bin" / "agent-aarch64"
# /proc shows qemu's name, environment and memory, not the agent's; and qemu has no PR_SET_CHILD_SUBREAPER.
NOT_UNDER_QEMU = ("nothing_is_inherited_that", "its_memory_is_closed", "loss_of_the_link_ends_all")


@pytest.mark.slow
def test_what_holds_here_holds_on_aarch64(tmp_path: Path) -> None:
    qemu = shutil.which("qemu-aarch64-static")
    if qemu is None or not AGENT.is_file():
        pytest.skip("no agent for aarch64 (`make -C agent release`) or no qemu (Debian: qemu-user-static)")
    script = tmp_path / "agent"
    script.write_text(f'#!/bin/sh\nexec {qemu} {AGENT} "$@"\n')
    script.chmod(0o755)
    files = [f"tests/agent/test_{name}.py" for name in ("programs", "link", "compat")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    command += ["-k", " and ".join(f"not {name}" for name in NOT_UNDER_QEMU)]
    env = os.environ | {"MOORAGE_TEST_AGENT": str(script)}
    done = subprocess.run(command, cwd=HOME, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
