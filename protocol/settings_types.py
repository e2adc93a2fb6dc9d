"""What several sections of the configuration are made of: how the reader takes a key beyond its Python type."""

from typing import Annotated, Any, Literal

from msgspec import Meta

GUEST_IMAGE = "moorage/guest:1"
CONTAINERSSH_IMAGE = "containerssh/containerssh-guest-image"  # what ContainerSSH takes where no image is given

# As a length of time in seconds, or as something whose value no error message may repeat.
Duration = Annotated[float, Meta(extra={"unit": "duration"})]
Timeout = Annotated[float, Meta(extra={"unit": "duration", "zero": "default"})]  # 0 is the default, as in ContainerSSH
Secret = Annotated[str, Meta(extra={"secret": True})]
Count = Annotated[int, Meta(ge=1)]
SpareCount = Annotated[int, Meta(ge=0, le=1000)]
# Docker Engine API objects; `settings_engine.py` knows their fields.
ContainerTree = Annotated[dict[str, Any], Meta(extra={"engine": "container", "image": GUEST_IMAGE})]
HostTree = Annotated[dict[str, Any], Meta(extra={"engine": "host"})]
NetworkTree = Annotated[dict[str, Any], Meta(extra={"engine": "network"})]
PlatformTree = Annotated[dict[str, Any], Meta(extra={"engine": "platform"})]
LegacyContainerTree = Annotated[dict[str, Any], Meta(extra={"engine": "container", "image": CONTAINERSSH_IMAGE})]

Hardening = Literal["engine", "strict"]
HardeningPart = Literal["noNewPrivileges", "capabilities", "pidsLimit", "memoryLimit"]
# fmt: off
Dangerous = Literal[
    "privileged", "hostNetwork", "hostPid", "hostIpc", "hostUts", "hostUser", "hostCgroup", "engineSocket",
    "ownFiles", "volumesFrom", "devices", "capabilities", "systemPaths",
]
# fmt: on
# A part of the settings, for one rule or template: only what is given, in the file's own spelling.
PartTree = Annotated[dict[str, Any], Meta(extra={"part": True})]
