"""The `dockerrun` tree of ContainerSSH before 0.4. `settings_legacy.py` turns it into the `docker` tree of today."""

from msgspec import Struct, field

from protocol.settings_types import (
    CONTAINERSSH_IMAGE,
    HostTree,
    LegacyContainerTree,
    NetworkTree,
    PlatformTree,
    Secret,
    Timeout,
)


class DockerRunConfig(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What container to make for each session. One timeout for everything."""

    container: LegacyContainerTree = field(default_factory=lambda: {"Image": CONTAINERSSH_IMAGE})
    host: HostTree = {}
    network: NetworkTree = {}
    platform: PlatformTree = {}
    containername: str = field(default="", name="containername")
    subsystems: dict[str, str] = field(default_factory=lambda: {"sftp": "/usr/lib/openssh/sftp-server"})
    disable_command: bool = False
    timeout: Timeout = 60.0


class DockerRun(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where the engine is stood at the root of this tree."""

    host: str = ""
    cacert: str = ""
    cert: str = ""
    key: Secret = ""
    config: DockerRunConfig = DockerRunConfig()
