"""What makes a container's root the host's, whatever the hardening: refused unless the operator names it.

One pure function for the file, for a rule's settings and for a web service's answer. What a path really is only the
file system knows; whoever can look passes `real`. Keys are compared in any case, because the engine takes them so.
"""

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from protocol.hardening import plain_name
from protocol.settings import Execution, Settings
from protocol.settings_problem import Problem
from protocol.settings_types import Dangerous

HOST = "docker.execution.host"
# Their folders, up to the root, hold them too.
SOCKETS = (
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/user/0/docker.sock",
)
_SOCKET = re.compile(r"/(?:docker|docker\.raw|podman|containerd|crio|buildkitd)\.sock")
_OF_USERS = re.compile(r"/run/user/\d+(?:/podman)?")
_NAMESPACES: Mapping[str, Dangerous] = {
    "NetworkMode": "hostNetwork",
    "PidMode": "hostPid",
    "IpcMode": "hostIpc",
    "UTSMode": "hostUts",
    "UsernsMode": "hostUser",
    "CgroupnsMode": "hostCgroup",
}
# Each of these is another word for privileged.
_CAPABILITIES = frozenset({"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH"})
# Disks and memory of the host, and folders of devices that hold them.
_DEVICE = re.compile(
    r"/|/dev(?:/(?:[shv]d|xvd|nvme|mmcblk|dm-|loop|md|sr|nbd|zd|ram|pmem|mtd).*|/(?:disk|mapper|block|root)(?:/.*)?"
    r"|/(?:mem|kmem|port|kmsg))?"
)
# Volumes that are another host's: their options name nothing of this one.
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs"})
# `device=/x`, and within the options of a mount: `lowerdir=/x:/y,upperdir=/z`.
_PATH_IN_OPTION = re.compile(r"(?:^|[=:,])(/[^:,]*)")
_CHARACTER_DEVICE = re.compile(r"c ([0-9]+):([0-9]+|\*) [rwm]+")
_MEMORY_MAJOR, _HARMLESS_MINORS = 1, frozenset({"3", "5", "7", "8", "9"})  # null, zero, full, random, urandom


class Danger(Struct, frozen=True):
    """`path` is under `docker.execution`; `found` is for a sentence."""

    name: Dangerous
    path: str
    found: str


def plain_path(path: str) -> str:
    """A path without detours, as far as that can be told without a look at the file system."""
    path = posixpath.normpath(re.sub("/+", "/", path))
    return "/run" + path[len("/var/run") :] if path == "/var/run" or path.startswith("/var/run/") else path


def own_files(settings: Settings) -> tuple[str, ...]:
    """What Moorage keeps on the host: who reads or writes it is the server, or comes in as anybody. `state` holds the
    control socket and those of guest agents. Keys of users are not among them: they may lie in their homes."""
    keys = (key for key in settings.ssh.hostkeys if not key.lstrip().startswith("-----"))
    auth = settings.auth
    paths = (settings.state, settings.record.directory, auth.users_file, auth.revoked_keys, *keys)
    return tuple(dict.fromkeys(path for path in paths if path))


def dangers(
    execution: Execution,
    sockets: Iterable[str] = (),
    real: Callable[[str], str] = plain_path,
    own: Iterable[str] = (),
) -> Iterator[Danger]:
    """All of them. `sockets`: where the engine is heard, beside the usual places. `own`: see `own_files`."""
    host = {str(key).lower(): value for key, value in execution.host.items() if value is not None}
    if host.get("privileged"):
        yield Danger("privileged", f"{HOST}.privileged", "true gives the container the whole host")
    for key, name in _NAMESPACES.items():
        mode = str(host.get(key.lower(), "")).strip().lower()
        if mode == "host" or mode.startswith("ns:"):
            yield Danger(name, f"{HOST}.{key}", f"{mode} shares one of the host's namespaces with the container")
    if "host" in (_member(execution.network, "EndpointsConfig") or ()):
        yield Danger("hostNetwork", "docker.execution.network.EndpointsConfig", "host is the host's own network")
    for index, capability in enumerate(host.get("capadd") or ()):
        if plain_name(str(capability)) in _CAPABILITIES:
            yield Danger("capabilities", f"{HOST}.CapAdd[{index}]", f"{capability} is as good as privileged")
    paths = host.get("readonlypaths")
    if paths is not None and "/proc/sys" not in paths:
        yield Danger("systemPaths", f"{HOST}.ReadonlyPaths", "without /proc/sys, root can set the host's kernel up")
    for index, name in enumerate(host.get("volumesfrom") or ()):
        yield Danger("volumesFrom", f"{HOST}.VolumesFrom[{index}]", f"{name} may have mounted anything")
    yield from _devices(host, real)
    known = [*SOCKETS, *sockets]
    known += [real(path) for path in known]
    ours = {path: {plain_path(path), real(path)} for path in own}
    for path, source in _sources(host):
        spellings = (plain_path(source), real(source))
        if any(_reaches(spelling, known) for spelling in spellings):
            yield Danger("engineSocket", path, f"{source} is or holds the engine's socket")
        if kept := next((name for name, plain in ours.items() if _meet(spellings, plain)), ""):
            yield Danger("ownFiles", path, f"{source} is, holds or lies in {kept}, which Moorage keeps for itself")


def refusals(
    execution: Execution,
    allowed: Collection[str] | None = None,
    sockets: Iterable[str] = (),
    real: Callable[[str], str] = plain_path,
    own: Iterable[str] = (),
) -> Iterator[Problem]:
    """A problem for each danger that is not named. `allowed` is the file's, for settings that come from elsewhere:
    what a web service says must not allow itself anything."""
    named = execution.allow_dangerous if allowed is None else allowed
    for danger in dangers(execution, sockets, real, own):
        if danger.name not in named:
            advice = f"take it out, or name {danger.name} in docker.execution.allowDangerous"
            yield Problem(danger.path, danger.found, advice=advice)


def _devices(host: Mapping[str, Any], real: Callable[[str], str]) -> Iterator[Danger]:
    for index, device in enumerate(host.get("devices") or ()):
        source = str(_member(device, "PathOnHost") or "")
        if any(_DEVICE.fullmatch(path) for path in (plain_path(source), real(source)) if source):
            yield Danger("devices", f"{HOST}.Devices[{index}]", f"{source} is a disk or the memory of the host")
    for index, mount in enumerate(host.get("mounts") or ()):
        for source in _paths_of_volume(mount):
            if source != "/" and any(_DEVICE.fullmatch(path) for path in (plain_path(source), real(source))):
                yield Danger("devices", f"{HOST}.Mounts[{index}]", f"{source} is a disk or the memory of the host")
    for index, rule in enumerate(host.get("devicecgrouprules") or ()):
        match = _CHARACTER_DEVICE.fullmatch(str(rule))
        if not match or (int(match[1]) == _MEMORY_MAJOR and match[2] not in _HARMLESS_MINORS):
            found = f"{rule!r} lets the container at disks or the memory of the host"
            yield Danger("devices", f"{HOST}.DeviceCgroupRules[{index}]", found)


def _sources(host: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(path of the key, path on the host) of whatever is mounted from the host."""
    for index, bind in enumerate(host.get("binds") or ()):
        source = str(bind).partition(":")[0]
        if source.startswith("/"):
            yield f"{HOST}.Binds[{index}]", source
    for index, mount in enumerate(host.get("mounts") or ()):
        source = str(_member(mount, "Source") or "")
        if source.startswith("/"):
            yield f"{HOST}.Mounts[{index}]", source
        # A volume whose driver is told to bind a folder.
        for value in _paths_of_volume(mount):
            yield f"{HOST}.Mounts[{index}]", value


def _paths_of_volume(mount: object) -> Iterator[str]:
    """Where on this host a volume lies that its driver is told to mount: a folder, a disk, the parts of an overlay."""
    driver = _member(_member(mount, "VolumeOptions"), "DriverConfig")
    options = {str(key).lower(): str(value) for key, value in (_member(driver, "Options") or {}).items()}
    if options.get("type", "").lower() not in _REMOTE:
        for value in options.values():
            yield from _PATH_IN_OPTION.findall(value)


def _member(tree: object, name: str) -> Any:
    """A member of an object of the engine's, in any case; None where there is none."""
    if not isinstance(tree, Mapping):
        return None
    return next((value for key, value in tree.items() if str(key).lower() == name.lower()), None)


def _meet(sources: Iterable[str], kept: Iterable[str]) -> bool:
    """One of them is one of the other, or lies in it."""
    return any(_holds(a, b) or _holds(b, a) for a in sources for b in kept)


def _holds(folder: str, path: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def _reaches(source: str, sockets: Iterable[str]) -> bool:
    if _SOCKET.search(source) or _OF_USERS.fullmatch(source):
        return True
    folder = source.rstrip("/") + "/"
    return any(socket == source or socket.startswith(folder) for socket in sockets)
