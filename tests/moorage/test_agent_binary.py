"""The built agent as Python finds it."""

import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from moorage import agent_binary as module
from moorage.agent_binary import AgentBinary, agent_binary
from moorage.debian import is_static

AGENT = Path(module.__file__).parent.parent / "agent"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    agent_binary.cache_clear()
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return tmp_path


def test_the_engines_names_and_the_kernels(folder: Path) -> None:
    (folder / "agent-x86_64").write_bytes(b"program")
    wanted = AgentBinary(architecture="x86_64", content=b"program", digest=sha256(b"program").hexdigest())
    assert agent_binary("amd64") == agent_binary("x86_64") == wanted


@pytest.mark.parametrize("name", ["arm64", "aarch64", "riscv64", "", "../x"])
def test_what_was_not_built(name: str) -> None:
    assert agent_binary(name) is None


@pytest.mark.skipif(not shutil.which("musl-gcc"), reason="the small agent is built with musl-gcc")
def test_this_machines_own_is_small_and_static(folder: Path) -> None:
    command = ["make", "--silent", "-C", str(AGENT), "host", f"OUT={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    assert is_static(path) and path.stat().st_size <= 64 * 1024
    help_ = subprocess.run([path, "--help"], capture_output=True, check=False)
    assert (help_.returncode, help_.stdout[:6]) == (0, b"usage:")
