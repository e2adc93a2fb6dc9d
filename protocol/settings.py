"""The configuration as the daemon uses it: checked, complete, every default filled in.

Attribute names are Python's; `name=` or `rename="camel"` gives the key of the file. Keys, defaults and meaning follow
ContainerSSH's `docker` tree; `docs/configuration.md` lists what is ours. Durations are seconds. Reading a file, its two
spellings and its errors is `settings_read.py`'s; the rules that span keys are `settings_checks.py`'s.
"""

from typing import Literal

from msgspec import Struct, field

from protocol.settings_auth import Auth as Auth
from protocol.settings_auth import User as User
from protocol.settings_dockerrun import DockerRun
from protocol.settings_limits import Limits
from protocol.settings_rules import Rule as Rule
from protocol.settings_security import Security
from protocol.settings_services import Audit, ConfigServer, GeoIp, Health, Metrics
from protocol.settings_types import GUEST_IMAGE as GUEST_IMAGE
from protocol.settings_types import (
    ContainerTree,
    Dangerous,
    Hardening,
    HardeningPart,
    HostTree,
    NetworkTree,
    PartTree,
    PlatformTree,
)
from protocol.settings_types import Count as Count
from protocol.settings_types import Duration as Duration
from protocol.settings_types import Secret as Secret
from protocol.settings_types import SpareCount as SpareCount
from protocol.settings_types import Timeout as Timeout

ExecutionMode = Literal["connection", "session"]
ImagePullPolicy = Literal["Always", "IfNotPresent", "Never"]
Backend = Literal["docker", "dockerrun"]

LogLevel = Literal["debug", "info", "notice", "warning", "error", "crit", "alert", "emerg"]
# fmt: off
Facility = Literal[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "logaudit", "logalert", "clock",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]
# fmt: on

IDLE_COMMAND = ("/bin/sh", "-c", 'sleep infinity & PID=$!; trap "kill $PID" INT TERM; wait')
# bash where the image has it, sh where not; the incumbent's /bin/bash fails on every small image.
SHELL_COMMAND = ("/bin/sh", "-c", "if [ -x /bin/bash ]; then exec /bin/bash; fi; exec /bin/sh")


class DockerConnection(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where the engine is. Empty host: DOCKER_HOST, then the usual sockets. TLS wants all three PEM texts or none."""

    host: str = ""
    cacert: str = ""
    cert: str = ""
    key: Secret = ""


class RegistryAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`execution.auth`: the Docker Engine API's AuthConfig, keys in lower case."""

    username: str = ""
    password: Secret = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: Secret = ""
    registrytoken: Secret = ""
    auth: Secret = ""


class Execution(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What container to make and how to run programs in it. The four trees are in the API's own spelling."""

    container: ContainerTree = field(default_factory=lambda: {"Image": GUEST_IMAGE})
    host: HostTree = {}
    network: NetworkTree = {}
    platform: PlatformTree = {}
    hardening: Hardening = "engine"
    hardening_off: tuple[HardeningPart, ...] = ()
    allow_dangerous: tuple[Dangerous, ...] = ()
    containername: str = field(default="", name="containername")
    auth: RegistryAuth = RegistryAuth()
    mode: ExecutionMode = "connection"
    idle_command: tuple[str, ...] = IDLE_COMMAND
    shell_command: tuple[str, ...] = SHELL_COMMAND
    transport: Literal["auto", "served", "exec"] = "auto"
    agent_path: str = "/usr/bin/containerssh-agent"
    disable_agent: bool = False
    subsystems: dict[str, str] = field(default_factory=lambda: {"sftp": "/usr/lib/openssh/sftp-server"})
    image_pull_policy: ImagePullPolicy = "IfNotPresent"
    expose_auth_metadata_as_env: bool = False


class Timeouts(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Seconds. `http` bounds one control call, the others a span of states (docs/states)."""

    container_start: Timeout = 60.0
    container_stop: Timeout = 60.0
    command_start: Timeout = 60.0
    signal: Timeout = 60.0
    window: Timeout = 60.0
    http: Timeout = 15.0


class Pool(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Ours: containers made ahead of their logins. `size` 0: none; `auto`: as many as were logged into lately."""

    size: Literal["auto"] | SpareCount = 0
    max: Count = 8
    ttl: Duration = 600.0


class Docker(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    connection: DockerConnection = DockerConnection()
    execution: Execution = Execution()
    timeouts: Timeouts = Timeouts()
    pool: Pool = Pool()


class Ssh(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The listener. `hostkeys` are file names or PEM texts; empty algorithm lists mean Moorage's defaults."""

    listen: str = "0.0.0.0:2222"
    hostkeys: tuple[Secret, ...] = ()
    server_version: str = "SSH-2.0-Moorage"
    banner: str = ""
    ciphers: tuple[str, ...] = ()
    kex: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    client_alive_interval: Duration = 0.0
    client_alive_count_max: Count = 3
    login_grace: Duration = 60.0  # ours: from TCP accept to authenticated
    max_auth_tries: Count = 6
    max_startups: Count = 100  # ours: connections not yet authenticated, above which new ones are closed


class Syslog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    destination: str = "/dev/log"
    facility: Facility = "auth"
    tag: str = "Moorage"
    pid: bool = False


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: LogLevel = "notice"
    format: Literal["ljson", "text"] = "ljson"
    destination: Literal["stdout", "file", "syslog"] = "stdout"
    file: str = "/var/log/moorage/moorage.log"
    syslog: Syslog = Syslog()


class Shutdown(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ours: how long sessions may go on after INT or TERM, and how long they have after that until KILL."""

    grace: Duration = 20.0
    kill: Duration = 5.0


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ours: where scenarios go (empty: nowhere) and whether command strings are kept or only their SHA-256."""

    directory: str = ""
    commands: Literal["full", "hash"] = "full"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration. `state` is the folder for the instance id and boot locks (default: `var` beside it)."""

    ssh: Ssh = Ssh()
    docker: Docker = Docker()
    auth: Auth = Auth()
    log: Log = Log()
    shutdown: Shutdown = Shutdown()
    record: Record = Record()
    security: Security = Security()
    rules: tuple[Rule, ...] = ()
    templates: dict[str, PartTree] = {}
    limits: Limits = Limits()
    configserver: ConfigServer = ConfigServer()
    metrics: Metrics = Metrics()
    health: Health = Health()
    audit: Audit = Audit()
    geoip: GeoIp = GeoIp()
    backend: Backend = "docker"
    dockerrun: DockerRun = DockerRun()
    listen: str = ""
    state: str = "var"
