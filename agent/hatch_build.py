"""A wheel that is released has both agents; one that is built otherwise has those that were built before."""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAMES = ("agent-x86_64", "agent-aarch64")


class AgentHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root, "moorage", "bin")
        missing = [name for name in NAMES if not (folder / name).is_file()]
        if missing and os.environ.get("MOORAGE_RELEASE") == "1" and version == "standard":
            raise RuntimeError(f"{', '.join(missing)} missing in {folder}: run `make -C agent release` first")
