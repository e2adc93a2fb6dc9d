"""The engine's objects: both spellings, flat and nested, near misses, and fields that are newer than we are."""

from typing import Any

import msgspec
import pytest

from protocol.settings import GUEST_IMAGE
from protocol.settings_engine import TREES
from protocol.settings_read import PASSED_MAX, Plain, Problem, Reading, SettingsError, read_settings

BCRYPT = "$2b$12$" + "a" * 53
WAY_IN: dict[object, object] = {"users": {"alice": {"passwordHash": BCRYPT}}}


def _with(**sections: object) -> Reading:
    return read_settings({"auth": WAY_IN, **sections})


def _execution(**keys: object) -> Reading:
    return _with(docker={"execution": keys})


def _refused(tree: object) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        read_settings(tree)
    return caught.value.problems


def _refusal(**sections: object) -> Problem:
    (problem,) = _refused({"auth": WAY_IN, **sections})
    return problem


LOWER: dict[str, Any] = {
    "container": {
        "image": "debian:12",
        "user": Plain("1000"),
        "exposedports": {"80/tcp": None},
        "labels": {"a": None, "b": Plain("no")},
        "healthcheck": {"test": ["CMD", "true"], "interval": "30s", "retries": Plain("3")},
        "stoptimeout": 10,
        "workingdir": None,
    },
    "host": {
        "capadd": ["CHOWN"],
        "restartpolicy": {"name": Plain("no"), "maximumretrycount": 0},
        "logconfig": {"type": "json-file", "config": {"max-size": "10m"}},
        "portbindings": {"80/tcp": [{"hostip": "127.0.0.1", "hostport": Plain("8080")}], "81/tcp": None},
        "mounts": [{"type": "tmpfs", "tmpfsoptions": {"sizebytes": 5}, "clusteroptions": {"a": Plain("1")}}],
        "resources": {
            "memory": 512,
            "ulimits": [{"name": "nofile", "soft": 1, "hard": 2}],
            "devices": [{"pathonhost": "/dev/fuse", "pathincontainer": "/dev/fuse", "cgrouppermissions": "rwm"}],
            "blkiodevicereadbps": [{"path": "/dev/sda", "rate": 5}],
        },
    },
    "network": {"endpointsconfig": {"blue": {"ipamconfig": {"ipv4address": "192.0.2.1"}, "aliases": ["a"]}}},
    "platform": {"osversion": "10", "OS": "linux", "os.features": ["x"]},
}
API: dict[str, Any] = {
    "container": {
        "Image": "debian:12",
        "User": "1000",
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"a": "", "b": "no"},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 30_000_000_000, "Retries": 3},
        "StopTimeout": 10,
    },
    "host": {
        "CapAdd": ["CHOWN"],
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": []},
        "Mounts": [{"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 5}, "ClusterOptions": {"a": 1}}],
        "Memory": 512,
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
        "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}],
        "BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 5}],
    },
    "network": {"EndpointsConfig": {"blue": {"IPAMConfig": {"IPv4Address": "192.0.2.1"}, "Aliases": ["a"]}}},
    "platform": {"os.version": "10", "os": "linux", "os.features": ["x"]},
}


@pytest.mark.parametrize("tree", [LOWER, API])
def test_both_spellings_come_out_as_the_apis(tree: dict[str, Any]) -> None:
    reading = _execution(mode="session", **tree)
    execution = reading.settings.docker.execution
    assert [execution.container, execution.host, execution.network, execution.platform] == list(API.values())
    assert reading.warnings == ()
    assert type(execution.container["User"]) is str


@pytest.mark.parametrize("name", TREES)
def test_every_field_is_taken_in_lower_case_as_containerssh_writes_it(name: str) -> None:
    kind = msgspec.inspect.type_info(TREES[name])
    assert isinstance(kind, msgspec.inspect.TypedDictType)
    raw = {field.name.lower(): _sample(field.type) for field in kind.fields}
    out = getattr(_execution(**{name: raw}, allowDangerous=["systemPaths"]).settings.docker.execution, name)
    assert set(out) == {field.name for field in kind.fields}


def _sample(kind: msgspec.inspect.Type) -> object:
    kind = kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind
    samples = {"StrType": "x", "BoolType": False, "IntType": 1, "ListType": []}
    return samples.get(type(kind).__name__, {})


def test_a_container_without_an_image_has_the_default_one() -> None:
    assert _execution(container={"env": ["A=b"]}).settings.docker.execution.container == {
        "Image": GUEST_IMAGE,
        "Env": ["A=b"],
    }
    assert _execution(container={"image": None}).settings.docker.execution.container == {"Image": GUEST_IMAGE}


def test_limits_given_flat_and_nested() -> None:
    problem = _refusal(docker={"execution": {"host": {"Memory": 1, "resources": {"memory": 2}}}})
    assert problem.path == "docker.execution.host.resources.memory"
    assert _refusal(docker={"execution": {"host": {"capadd": [], "CapAdd": []}}}).found == "CapAdd is given twice"
    assert _refusal(docker={"execution": {"host": {"resources": 5}}}).allowed == "a mapping"
    assert _refusal(docker={"execution": {"host": 5}}).allowed == "a mapping"


@pytest.mark.parametrize(
    ("tree", "key", "meant"),
    [
        ("host", "memroy", "Memory"),
        ("host", "capad", "CapAdd"),
        ("container", "enviroment", ""),
        ("container", "memory", "docker.execution.host.memory"),
        ("host", "Labels", "docker.execution.container.Labels"),
        ("network", "EndpointConfig", "EndpointsConfig"),
    ],
)
def test_near_misses_and_fields_in_the_wrong_tree_are_refused(tree: str, key: str, meant: str) -> None:
    raw = {"execution": {tree: {key: 1}}}
    if not meant:
        (warning,) = _with(docker=raw).warnings
        assert warning.path == f"docker.execution.{tree}.{key}"
        return
    problem = _refusal(docker=raw)
    assert problem.advice == f"did you mean {meant}?"


def test_a_near_miss_in_a_nested_object() -> None:
    problem = _refusal(docker={"execution": {"host": {"restartpolicy": {"nme": "no"}}}})
    assert problem.path == "docker.execution.host.restartpolicy.nme"
    assert problem.advice == "did you mean Name?"


def test_an_unknown_field_is_passed_on_with_a_remark() -> None:
    raw = {"frobnicate": {"on": [Plain("1"), 2.5, None, "x", True], "deep": {"a": Plain("no")}}}
    reading = _execution(host=raw)
    assert reading.settings.docker.execution.host == {
        "frobnicate": {"on": [1, 2.5, None, "x", True], "deep": {"a": "no"}}
    }
    (warning,) = reading.warnings
    assert warning.path == "docker.execution.host.frobnicate"


@pytest.mark.parametrize("value", [object(), float("nan"), 2**70, {5: 1}, "\ud800", [b"x"], {"a": {b"b": 1}}])
def test_an_unknown_field_with_what_json_cannot_say(value: object) -> None:
    assert _refusal(docker={"execution": {"host": {"frobnicate": value}}}).path.startswith("docker.execution.host.")


def test_a_tree_that_holds_itself_has_an_end() -> None:
    loop: list[object] = []
    loop += [loop, loop]
    problems = _refused({"auth": WAY_IN, "docker": {"execution": {"host": {"frobnicate": loop}}}})
    assert {problem.found for problem in problems} == {"too large"}
    assert len(problems) < 2 * PASSED_MAX
    ring: dict[str, object] = {}
    ring["ring"] = ring
    assert _refused({"auth": WAY_IN, "security": ring, "docker": ring})


def test_sizes_are_bytes() -> None:
    problem = _refusal(docker={"execution": {"host": {"resources": {"memory": "512m"}}}})
    assert (problem.allowed, problem.advice) == ("a whole number of bytes", "write 536870912")
    assert _refusal(docker={"execution": {"host": {"memory": "lots"}}}).advice == ""
    assert _refusal(docker={"execution": {"host": {"memory": []}}}).advice == ""
    assert _refusal(docker={"execution": {"host": {"pidslimit": "512m"}}}).advice == ""
    assert _refusal(docker={"execution": {"container": {"healthcheck": {"interval": "soon"}}}}).allowed
