"""Every key that ContainerSSH has: ours by the same name, or refused or told by name. None is dropped in silence.

That each key of ours has its default, is taken, and refuses what is of another kind is in `test_settings_every_key.py`,
key by key from the types; here is the list that must be among them, and what each is there when a file says nothing.
"""

from typing import Any, cast

import pytest
from msgspec import inspect

from protocol.settings_engine import TREES, Resources, folded
from protocol.settings_read import SettingsError, read_settings
from protocol.settings_schema import default_of
from tests.protocol.test_settings_every_key import KEYS, WAY_IN, tree_of

HTTP = {
    "url": "",
    "allowRedirects": False,
    "timeout": "2s",
    "cacert": "",
    "cert": "",
    "key": "",
    "tlsVersion": "1.3",
    "curves": (),
    "cipher": (),
}
SERVER = {"key": "", "cert": "", "clientcacert": "", "tlsVersion": "1.3", "curves": (), "cipher": ()}
CLOSED = "disable"
GUEST = {"Image": "containerssh/containerssh-guest-image"}
SFTP = {"sftp": "/usr/lib/openssh/sftp-server"}


def under(section: str, keys: dict[str, Any]) -> dict[str, Any]:
    return {f"{section}.{key}": value for key, value in keys.items()}


# What each is in ContainerSSH when the file does not say it.
THERE: dict[str, Any] = {
    "backend": "docker",
    **under(
        "ssh",
        {
            "listen": "0.0.0.0:2222",
            "serverVersion": "SSH-2.0-ContainerSSH",
            "ciphers": "six of its own",
            "kex": "four of its own",
            "macs": "two of its own",
            "banner": "",
            "hostkeys": (),
            "clientAliveInterval": 0,
            "clientAliveCountMax": 3,
        },
    ),
    **under("docker.connection", {"host": "unix:///var/run/docker.sock", "cacert": "", "cert": "", "key": ""}),
    **under(
        "docker.execution",
        {
            "container": GUEST,
            "host": {},
            "network": {},
            "platform": {},
            "containername": "",
            "mode": "connection",
            "idleCommand": ("/usr/bin/containerssh-agent", "wait-signal", "--signal", "INT", "--signal", "TERM"),
            "shellCommand": ("/bin/bash",),
            "agentPath": "/usr/bin/containerssh-agent",
            "disableAgent": False,
            "subsystems": SFTP,
            "imagePullPolicy": "IfNotPresent",
            "exposeAuthMetadataAsEnv": False,
        },
    ),
    **under(
        "docker.execution.auth",
        dict.fromkeys(("username", "password", "email", "serveraddress", "identitytoken", "registrytoken", "auth"), ""),
    ),
    **under(
        "docker.timeouts",
        dict.fromkeys(("containerStart", "containerStop", "commandStart", "signal", "window"), "60s"),
    ),
    "docker.timeouts.http": "15s",
    **under(
        "dockerrun",
        {"host": "unix:///var/run/docker.sock", "cacert": "", "cert": "", "key": ""},
    ),
    **under(
        "dockerrun.config",
        {
            "container": GUEST,
            "host": {},
            "network": {},
            "platform": {},
            "containername": "",
            "subsystems": SFTP,
            "disableCommand": False,
            "timeout": "60s",
        },
    ),
    **under("configserver", {**HTTP, "transmitSensitiveMetadata": False}),
    **{f"auth.{name}.method": "" for name in ("password", "publicKey", "keyboardInteractive", "authz")},
    **{
        key: value
        for name in ("password", "publicKey", "authz")
        for key, value in under(f"auth.{name}.webhook", {**HTTP, "authTimeout": "60s"}).items()
    },
    **under("auth.keyboardInteractive.oauth2", {"provider": "", "clientId": "", "clientSecret": ""}),
    **under(
        "auth.keyboardInteractive.oauth2.oidc",
        {
            **HTTP,
            "timeout": "10s",
            "deviceFlow": False,
            "authorizationCodeFlow": False,
            "usernameField": "sub",
            "extraScopes": (),
            "enforceScopes": False,
        },
    ),
    **under("log", {"level": "notice", "format": "ljson", "destination": "stdout"}),
    "log.file": "/var/log/containerssh/containerssh.log",
    **under("log.syslog", {"destination": "/dev/log", "facility": "auth", "tag": "ContainerSSH", "pid": False}),
    **under("metrics", {**SERVER, "enable": False, "listen": "0.0.0.0:9100", "path": "/metrics"}),
    **under("geoip", {"provider": "dummy", "maxmind-geoip2-file": "/var/lib/GeoIP/GeoIP2-Country.mmdb"}),
    **under("audit", {"enable": False, "format": "none", "storage": "none"}),
    "audit.file.directory": "/var/log/audit",
    **under(
        "audit.s3",
        {
            "local": "/var/lib/audit",
            "accessKey": "",
            "secretKey": "",
            "bucket": "",
            "region": "",
            "endpoint": "",
            "cacert": "",
            "acl": "",
            "pathStyleAccess": False,
            "uploadPartSize": 5242880,
            "parallelUploads": 20,
            "metadata.ip": False,
            "metadata.username": False,
        },
    ),
    **under("audit.intercept", dict.fromkeys(("stdin", "stdout", "stderr", "passwords", "forwarding"), False)),
    **under("health", {**SERVER, "enable": False, "listen": "0.0.0.0:7000"}),
    **under("health.client", {**HTTP, "url": "http://127.0.0.1:7000/"}),
    **under("security", {"defaultMode": "", "forceCommand": "", "maxSessions": -1}),
    **{f"security.{name}.mode": "" for name in ("env", "command", "shell", "subsystem", "tty", "signal")},
    **{f"security.{name}.allow": () for name in ("env", "command", "subsystem", "signal")},
    **{f"security.{name}.deny": () for name in ("env", "subsystem", "signal")},
    **{
        f"security.forwarding.{name}Mode": CLOSED
        for name in ("forwarding", "reverseForwarding", "socketForwarding", "socketListen", "x11Forwarding")
    },
}

# Where ours is another on purpose, and why.
OTHERWISE = {
    "ssh.serverVersion": "it is the server's own name",
    "ssh.ciphers": "empty is Moorage's choice, which has what theirs lacks",
    "ssh.kex": "empty is Moorage's choice, post-quantum first",
    "ssh.macs": "empty is Moorage's choice",
    "docker.connection.host": "empty looks for it, theirs among others",
    "docker.execution.container": "with none of our own keys in the file it is theirs: test_settings_origin.py",
    "docker.execution.idleCommand": "their agent is not in the image",
    "docker.execution.shellCommand": "bash where there is one, sh where not",
    "dockerrun.host": "as docker.connection.host",
    "auth.keyboardInteractive.oauth2.provider": "there is one, and without method it is not used",
    "auth.keyboardInteractive.oauth2.oidc.deviceFlow": "it is the only flow that is served",
    "log.file": "it is the server's own name",
    "log.syslog.tag": "it is the server's own name",
}

# What is not served: in a file by itself, and asking for something. `refused` or `told`, or `passed`: it is moot.
UNSERVED: list[tuple[dict[str, Any], str, str]] = [
    ({"backend": "kubernetes"}, "backend", "refused"),
    ({"backend": "sshproxy"}, "backend", "refused"),
    ({"backend": "kuberun"}, "backend", "refused"),
    ({"kubernetes": {"pod": {"metadata": {"name": "x"}}}}, "kubernetes", "told"),
    ({"sshproxy": {"server": "x", "allowedHostKeyFingerprints": ["y"]}}, "sshproxy", "told"),
    ({"kuberun": {"pod": {"namespace": "x"}}}, "kuberun", "told"),
    ({"auth": {"password": {"method": "kerberos"}}}, "auth.password.method", "refused"),
    ({"auth": {"password": {"kerberos": {"keytab": "/etc/krb5.keytab"}}}}, "auth.password.kerberos", "passed"),
    ({"auth": {"gssapi": {"method": "kerberos"}}}, "auth.gssapi", "refused"),
    ({"auth": {"authTimeout": "60s"}}, "auth.authTimeout", "passed"),
    (
        {"auth": {"keyboardInteractive": {"method": "oauth2", "oauth2": {"provider": "github"}}}},
        "auth.keyboardInteractive.oauth2.provider",
        "refused",
    ),
    (
        {"auth": {"keyboardInteractive": {"oauth2": {"github": {"requireOrgMembership": "x"}}}}},
        "auth.keyboardInteractive.oauth2.github",
        "passed",
    ),
    (
        {"auth": {"keyboardInteractive": {"oauth2": {"generic": {"authorizeEndpointURL": "x"}}}}},
        "auth.keyboardInteractive.oauth2.generic",
        "passed",
    ),
    ({"audit": {"enable": True, "format": "binary", "storage": "file"}}, "audit.enable", "refused"),
    (
        {
            "audit": {
                "enable": True,
                "format": "binary",
                "storage": "s3",
                "s3": {"accessKey": "x", "secretKey": "y", "bucket": "z"},
            }
        },
        "audit.enable",
        "refused",
    ),
    ({"metrics": {"enable": True}}, "metrics.enable", "told"),
    ({"health": {"enable": True}}, "health.enable", "told"),
    ({"geoip": {"provider": "maxmind"}}, "geoip.provider", "told"),
]

# The engine's objects as ContainerSSH's YAML spells them.
OBJECTS = {
    "container": "hostname domainname user attachstdin attachstdout attachstderr exposedports tty openstdin stdinonce "
    "env cmd healthcheck argsescaped image volumes workingdir entrypoint networkdisabled macaddress onbuild labels "
    "stopsignal stoptimeout shell",
    "host": "binds containeridfile logconfig networkmode portbindings restartpolicy autoremove volumedriver "
    "volumesfrom consolesize annotations capadd capdrop cgroupnsmode dns dnsoptions dnssearch extrahosts groupadd "
    "ipcmode cgroup links oomscoreadj pidmode privileged publishallports readonlyrootfs securityopt storageopt "
    "tmpfs utsmode usernsmode shmsize sysctls runtime isolation mounts maskedpaths readonlypaths init",
    "network": "endpointsconfig",
    "platform": "architecture os os.version os.features variant",
}
RESOURCES = (
    "cpushares memory nanocpus cgroupparent blkioweight blkioweightdevice blkiodevicereadbps blkiodevicewritebps "
    "blkiodevicereadiops blkiodevicewriteiops cpuperiod cpuquota cpurealtimeperiod cpurealtimeruntime cpusetcpus "
    "cpusetmems devices devicecgrouprules devicerequests kernelmemory kernelmemorytcp memoryreservation memoryswap "
    "memoryswappiness oomkilldisable pidslimit ulimits cpucount cpupercent iomaximumiops iomaximumbandwidth"
)
FIELDS = [(tree, name) for tree, names in OBJECTS.items() for name in names.split()]


@pytest.mark.parametrize("path", THERE)
def test_each_key_is_ours_with_the_same_default_or_another_on_purpose(path: str) -> None:
    default = default_of(KEYS[path])
    assert (default != THERE[path]) == (path in OTHERWISE), default


def test_there_is_no_reason_without_its_key() -> None:
    assert set(OTHERWISE) <= set(THERE)


@pytest.mark.parametrize(("tree", "path", "fate"), UNSERVED, ids=lambda item: item if isinstance(item, str) else "")
def test_what_is_not_served_is_named(tree: dict[str, Any], path: str, fate: str) -> None:
    whole = {**tree, "auth": {**WAY_IN, **tree.get("auth", {})}}
    if fate == "refused":
        with pytest.raises(SettingsError) as caught:
            read_settings(whole)
        assert path in {problem.path for problem in caught.value.problems}
    else:
        told = {problem.path for problem in read_settings(whole).warnings}
        assert (path in told) == (fate == "told"), told


def _sample(kind: inspect.Type) -> Any:
    """A value of this type, as a file may say it."""
    match kind:
        case inspect.Metadata():
            return _sample(kind.type)
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return 7
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.ListType():
            return [_sample(kind.item_type)]
        case inspect.DictType():
            return {"x": _sample(kind.value_type)}
        case inspect.TypedDictType():
            return {field.name.lower(): _sample(field.type) for field in kind.fields}
        case inspect.StrType():
            return "x=1"
    return {}


def _field(tree: type, name: str) -> inspect.Field:
    kind = cast(inspect.TypedDictType, inspect.type_info(tree))
    return next(field for field in kind.fields if folded(field.name) == folded(name))


DANGEROUS = {"privileged", "volumesfrom", "readonlypaths"}
ALLOWED = ["privileged", "volumesFrom", "systemPaths", "devices"]


@pytest.mark.parametrize(("tree", "name"), FIELDS)
def test_each_field_of_the_engines_objects_is_taken_in_their_spelling(tree: str, name: str) -> None:
    field = _field(TREES[tree], name)
    value = _sample(field.type)
    file = tree_of(f"docker.execution.{tree}", {name: value})
    file["docker"]["execution"]["allowDangerous"] = ALLOWED if name in DANGEROUS else []
    taken = getattr(read_settings(file).settings.docker.execution, tree)
    assert field.name in taken


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("name", RESOURCES.split())
def test_each_limit_is_taken_nested_as_theirs_and_flat_as_the_engines(name: str, nested: bool) -> None:
    field = _field(Resources, name)
    value = {name: _sample(field.type)}
    file = tree_of("docker.execution.host", {"resources": value} if nested else value)
    file["docker"]["execution"]["allowDangerous"] = ALLOWED
    assert field.name in read_settings(file).settings.docker.execution.host
