"""The fields of the four Docker Engine API objects under `docker.execution`, in the API's own spelling.

The reader takes a key in any case (ContainerSSH writes `capadd`, the API `CapAdd`) and answers with the spelling here.
A TypedDict, not a Struct: what the file does not say must not be sent, because absent and zero differ in this API.
"""

from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta, inspect

Bytes = Annotated[int, Meta(extra={"unit": "bytes"})]
Nanoseconds = Annotated[int, Meta(extra={"unit": "nanoseconds"})]
EnvItem = Annotated[str, Meta(extra={"secret": True})]  # NAME=value


class Empty(TypedDict, total=False):
    """The value of a set's member, as in `ExposedPorts: {"80/tcp": {}}`."""


class Healthcheck(TypedDict, total=False):
    Test: list[str]
    Interval: Nanoseconds
    Timeout: Nanoseconds
    StartPeriod: Nanoseconds
    StartInterval: Nanoseconds
    Retries: int


class Container(TypedDict, total=False):
    """`docker.execution.container`: the API's ContainerConfig."""

    Hostname: str
    Domainname: str
    User: str
    AttachStdin: bool
    AttachStdout: bool
    AttachStderr: bool
    ExposedPorts: dict[str, Empty]
    Tty: bool
    OpenStdin: bool
    StdinOnce: bool
    Env: list[EnvItem]
    Cmd: list[str]
    Healthcheck: Healthcheck
    ArgsEscaped: bool
    Image: str
    Volumes: dict[str, Empty]
    WorkingDir: str
    Entrypoint: list[str]
    NetworkDisabled: bool
    MacAddress: str
    OnBuild: list[str]
    Labels: dict[str, str]
    StopSignal: str
    StopTimeout: int
    Shell: list[str]


class WeightDevice(TypedDict, total=False):
    Path: str
    Weight: int


class ThrottleDevice(TypedDict, total=False):
    Path: str
    Rate: Bytes


class Device(TypedDict, total=False):
    PathOnHost: str
    PathInContainer: str
    CgroupPermissions: str


class DeviceRequest(TypedDict, total=False):
    Driver: str
    Count: int
    DeviceIDs: list[str]
    Capabilities: list[list[str]]
    Options: dict[str, str]


class Ulimit(TypedDict, total=False):
    Name: str
    Soft: int
    Hard: int


class Resources(TypedDict, total=False):
    """Limits: flat among the host's fields as in the API, or under `resources` as ContainerSSH's YAML has them."""

    CpuShares: int
    Memory: Bytes
    NanoCpus: int
    CgroupParent: str
    BlkioWeight: int
    BlkioWeightDevice: list[WeightDevice]
    BlkioDeviceReadBps: list[ThrottleDevice]
    BlkioDeviceWriteBps: list[ThrottleDevice]
    BlkioDeviceReadIOps: list[ThrottleDevice]
    BlkioDeviceWriteIOps: list[ThrottleDevice]
    CpuPeriod: int
    CpuQuota: int
    CpuRealtimePeriod: int
    CpuRealtimeRuntime: int
    CpusetCpus: str
    CpusetMems: str
    Devices: list[Device]
    DeviceCgroupRules: list[str]
    DeviceRequests: list[DeviceRequest]
    KernelMemory: Bytes
    KernelMemoryTCP: Bytes
    MemoryReservation: Bytes
    MemorySwap: Bytes
    MemorySwappiness: int
    OomKillDisable: bool
    PidsLimit: int
    Ulimits: list[Ulimit]
    CpuCount: int
    CpuPercent: int
    IOMaximumIOps: int
    IOMaximumBandwidth: Bytes


class LogConfig(TypedDict, total=False):
    Type: str
    Config: dict[str, str]


class PortBinding(TypedDict, total=False):
    HostIp: str
    HostPort: str


class RestartPolicy(TypedDict, total=False):
    Name: Literal["no", "always", "unless-stopped", "on-failure"]
    MaximumRetryCount: int


class BindOptions(TypedDict, total=False):
    Propagation: str
    NonRecursive: bool
    CreateMountpoint: bool
    ReadOnlyNonRecursive: bool
    ReadOnlyForceRecursive: bool


class DriverConfig(TypedDict, total=False):
    Name: str
    Options: dict[str, str]


class VolumeOptions(TypedDict, total=False):
    NoCopy: bool
    Labels: dict[str, str]
    Subpath: str
    DriverConfig: DriverConfig


class ImageOptions(TypedDict, total=False):
    Subpath: str


class TmpfsOptions(TypedDict, total=False):
    SizeBytes: Bytes
    Mode: int
    Options: list[list[str]]


class Mount(TypedDict, total=False):
    Type: str
    Source: str
    Target: str
    ReadOnly: bool
    Consistency: str
    BindOptions: BindOptions
    VolumeOptions: VolumeOptions
    ImageOptions: ImageOptions
    TmpfsOptions: TmpfsOptions
    ClusterOptions: dict[str, Any]


class Host(Resources, total=False):
    """`docker.execution.host`: the API's HostConfig."""

    Binds: list[str]
    ContainerIDFile: str
    LogConfig: LogConfig
    NetworkMode: str
    PortBindings: dict[str, list[PortBinding]]
    RestartPolicy: RestartPolicy
    AutoRemove: bool
    VolumeDriver: str
    VolumesFrom: list[str]
    ConsoleSize: list[int]
    Annotations: dict[str, str]
    CapAdd: list[str]
    CapDrop: list[str]
    CgroupnsMode: str
    Dns: list[str]
    DnsOptions: list[str]
    DnsSearch: list[str]
    ExtraHosts: list[str]
    GroupAdd: list[str]
    IpcMode: str
    Cgroup: str
    Links: list[str]
    OomScoreAdj: int
    PidMode: str
    Privileged: bool
    PublishAllPorts: bool
    ReadonlyRootfs: bool
    SecurityOpt: list[str]
    StorageOpt: dict[str, str]
    Tmpfs: dict[str, str]
    UTSMode: str
    UsernsMode: str
    ShmSize: Bytes
    Sysctls: dict[str, str]
    Runtime: str
    Isolation: str
    Mounts: list[Mount]
    MaskedPaths: list[str]
    ReadonlyPaths: list[str]
    Init: bool


class IPAMConfig(TypedDict, total=False):
    IPv4Address: str
    IPv6Address: str
    LinkLocalIPs: list[str]


class Endpoint(TypedDict, total=False):
    IPAMConfig: IPAMConfig
    Links: list[str]
    Aliases: list[str]
    MacAddress: str
    DriverOpts: dict[str, str]
    GwPriority: int
    NetworkID: str
    EndpointID: str
    Gateway: str
    IPAddress: str
    IPPrefixLen: int
    IPv6Gateway: str
    GlobalIPv6Address: str
    GlobalIPv6PrefixLen: int
    DNSNames: list[str]


class Network(TypedDict, total=False):
    """`docker.execution.network`: the API's NetworkingConfig."""

    EndpointsConfig: dict[str, Endpoint]


# `docker.execution.platform`: the image specification's Platform, whose spelling is lower case and has dots.
Platform = TypedDict(
    "Platform",
    {"architecture": str, "os": str, "os.version": str, "os.features": list[str], "variant": str},
    total=False,
)

TREES: dict[str, type] = {"container": Container, "host": Host, "network": Network, "platform": Platform}


def folded(key: str) -> str:
    """What the spellings of one field have in common: `OS.Version`, `os.version`, `osversion`."""
    return key.lower().replace(".", "")


def nothing_of(kind: inspect.Type) -> object:
    """What an empty value in a mapping of the file stands for: `80/tcp:` is a member, `NAME:` empty text."""
    if isinstance(kind, inspect.StrType):
        return ""
    if isinstance(kind, inspect.ListType):
        return []
    return {} if isinstance(kind, inspect.StructType) or getattr(kind, "cls", None) is Empty else None
