"""The guest agent as built for one architecture: in a checkout by `make install`, in the wheel by the release.

It lies in `moorage/bin/`, which no commit holds. Where it was not built (no musl-gcc), there is none, and programs are
started by the engine's own exec.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

from msgspec import Struct

Architecture = Literal["x86_64", "aarch64"]

FOLDER = Path(__file__).parent / "bin"
# The engine's names (image inspect, `Architecture`) for what we build.
ARCHITECTURES: dict[str, Architecture] = {
    "amd64": "x86_64",
    "x86_64": "x86_64",
    "arm64": "aarch64",
    "aarch64": "aarch64",
}


class AgentBinary(Struct, frozen=True, kw_only=True):
    """A static program for Linux; `digest` names the volume that it is brought in."""

    architecture: Architecture
    content: bytes
    digest: str


@cache
def agent_binary(architecture: str) -> AgentBinary | None:
    """The agent for an architecture, by the engine's or the kernel's name; None: not built, or not one of ours."""
    ours = ARCHITECTURES.get(architecture)
    path = FOLDER / f"agent-{ours}"
    if ours is None or not path.is_file():
        return None
    content = path.read_bytes()
    return AgentBinary(architecture=ours, content=content, digest=sha256(content).hexdigest())
