"""`dockerrun` and `listen`: read as ContainerSSH read them before 0.4, and said once to be old."""

from typing import Any

import pytest

from protocol.settings import Docker, Timeouts
from protocol.settings_read import Plain, Problem, Reading, SettingsError, read_settings
from protocol.settings_types import CONTAINERSSH_IMAGE, GUEST_IMAGE

WAY_IN = {"users": {"a": {"authorizedKeys": ["a.pub"]}}}
DEPRECATED = (
    "You are using the dockerrun backend deprecated since ContainerSSH 0.4. "
    "This backend will be removed in the future. Please switch to the new docker backend as soon as possible. "
    "See https://containerssh.io/deprecations/dockerrun for details."
)


def read(**tree: Any) -> Reading:
    return read_settings({"auth": WAY_IN, **tree})


def refused(**tree: Any) -> Problem:
    with pytest.raises(SettingsError) as caught:
        read(**tree)
    (problem,) = caught.value.problems
    return problem


def test_every_key_of_the_old_tree_has_its_place() -> None:
    old = {
        "host": "tcp://engine:2375",
        "cacert": "-----BEGIN A",
        "cert": "-----BEGIN B",
        "key": "-----BEGIN C",
        "config": {
            "container": {"image": "busybox:1", "env": ["A=b"]},
            "host": {"networkmode": "none", "resources": {"memory": 1}},
            "network": {"endpointsconfig": {"n": {}}},
            "platform": {"os": "linux"},
            "containername": "one",
            "subsystems": {"x": "/x"},
            "disableCommand": True,
            "timeout": "90s",
        },
    }
    reading = read(backend="dockerrun", dockerrun=old)
    docker, execution = reading.settings.docker, reading.settings.docker.execution
    connection = docker.connection
    assert (connection.host, connection.cacert[-1], connection.cert[-1], connection.key[-1]) == (
        ("tcp://engine:2375", "A", "B", "C")
    )
    assert execution.container == {"Image": "busybox:1", "Env": ["A=b"]}
    assert execution.host == {"NetworkMode": "none", "Memory": 1}
    assert execution.network == {"EndpointsConfig": {"n": {}}}
    assert (execution.platform, execution.containername, execution.subsystems) == ({"os": "linux"}, "one", {"x": "/x"})
    assert docker.timeouts == Timeouts(**dict.fromkeys(Timeouts.__struct_fields__, 90.0))
    assert reading.settings.dockerrun.config.disable_command


def test_it_works_as_it_did_one_container_a_session_no_agent_a_pull_each_time() -> None:
    docker = read(dockerrun={"config": {"container": {"image": "busybox"}}}).settings.docker
    execution = docker.execution
    assert (execution.mode, execution.image_pull_policy, execution.disable_agent) == ("session", "Always", True)
    assert execution.shell_command == ()  # the image's own CMD
    assert execution.subsystems == {"sftp": "/usr/lib/openssh/sftp-server"}
    assert set(docker.timeouts.__struct_fields__) and docker.timeouts == Timeouts(http=60.0)
    assert docker.connection == Docker().connection


def test_the_default_image_is_the_one_of_that_time() -> None:
    assert read(backend="dockerrun").settings.docker.execution.container == {"Image": CONTAINERSSH_IMAGE}
    config = {"container": {"env": ["A=b"]}}
    assert read(dockerrun={"config": config}).settings.docker.execution.container["Image"] == CONTAINERSSH_IMAGE
    assert read(docker={"execution": {}}).settings.docker.execution.container["Image"] == GUEST_IMAGE


@pytest.mark.parametrize(
    ("tree", "backend", "remarks"),
    [
        ({"dockerrun": {"host": ""}}, "dockerrun", ["dockerrun"]),
        ({"backend": "dockerrun"}, "dockerrun", ["dockerrun"]),
        ({"backend": "docker", "dockerrun": {"host": ""}}, "docker", ["dockerrun"]),
        ({"docker": {"execution": {}}, "dockerrun": {"host": ""}}, "docker", ["dockerrun"]),
        ({"backend": "dockerrun", "docker": {"execution": {}}}, "dockerrun", ["docker", "dockerrun"]),
        ({"dockerrun": Plain("~")}, "docker", []),
        ({"dockerrun": {}}, "docker", []),
        ({"backend": ""}, "docker", []),
    ],
    ids=str,
)
def test_which_tree_is_used(tree: dict[str, Any], backend: str, remarks: list[str]) -> None:
    reading = read(**tree)
    assert reading.settings.backend == backend
    assert (reading.settings.docker.execution.mode == "session") == (backend == "dockerrun")
    assert sorted(warning.path for warning in reading.warnings) == remarks


def test_the_warning_has_containersshs_words_and_code() -> None:
    (warning,) = read(dockerrun={"config": {"timeout": "60s"}}).warnings
    assert (warning.code, warning.found) == ("DOCKERRUN_DEPRECATED", DEPRECATED)
    assert "migrate" in warning.advice
    (unused,) = read(backend="docker", dockerrun={"host": ""}).warnings
    assert unused.code == ""


@pytest.mark.parametrize(
    ("old", "path", "words"),
    [
        ({"host": "ssh://engine"}, "dockerrun.host", "no engine address"),
        ({"cacert": "-----BEGIN A"}, "dockerrun", "by halves"),
        ({"key": "x", "cert": "-----BEGIN A", "cacert": "-----BEGIN A"}, "dockerrun.key", "not a PEM text"),
        ({"config": {"container": {"image": ""}}}, "dockerrun.config.container.image", "no image name provided"),
        ({"config": {"container": {"memory": 1}}}, "dockerrun.config.container.memory", "unknown key"),
        ({"config": {"host": {"memroy": 1}}}, "dockerrun.config.host.memroy", "unknown key"),
        ({"config": {"host": {"restartpolicy": {"name": "always"}}}}, "dockerrun.config.host.restartPolicy", "always"),
        ({"config": {"network": 5}}, "dockerrun.config.network", "a number"),
        ({"config": {"platform": {"os": 5}}}, "dockerrun.config.platform.os", "the number 5"),
        ({"config": {"containername": "-"}}, "dockerrun.config.containername", "no container name"),
        ({"config": {"subsystems": {"sftp": ""}}}, "dockerrun.config.subsystems.sftp", "empty"),
        ({"config": {"disableCommand": 5}}, "dockerrun.config.disableCommand", "the number 5"),
        ({"config": {"timeout": "5 s"}}, "dockerrun.config.timeout", "invalid duration: 5 s"),
        ({"config": {"imagePullPolicy": "Always"}}, "dockerrun.config.imagePullPolicy", "unknown key"),
        ({"config": None, "hots": "x"}, "dockerrun.hots", "unknown key"),
    ],
)
def test_what_is_wrong_is_said_of_the_keys_of_the_file(old: dict[str, Any], path: str, words: str) -> None:
    problem = refused(backend="dockerrun", dockerrun=old)
    assert problem.path == path
    assert words in problem.found


def test_a_field_of_the_wrong_tree_is_told_the_right_one() -> None:
    problem = refused(dockerrun={"config": {"container": {"memory": 1}}})
    assert problem.advice == "did you mean dockerrun.config.host.memory?"


def test_remarks_too_are_said_of_the_keys_of_the_file() -> None:
    config = {"host": {"autoremove": True}, "container": {"cmd": ["x"]}, "containername": "one"}
    paths = {warning.path for warning in read(dockerrun={"config": config}).warnings}
    assert paths == {
        "dockerrun",
        "dockerrun.config.host.autoRemove",
        "dockerrun.config.container.cmd",
        "dockerrun.config.containername",
    }


def test_durations_without_a_unit_are_nanoseconds_and_named_in_seconds() -> None:
    reading = read(dockerrun={"config": {"timeout": 60_000_000_000}})
    assert reading.settings.docker.timeouts.command_start == 60.0
    (warning,) = [warning for warning in reading.warnings if not warning.code]
    assert warning.found.endswith("taken as nanoseconds: 60 s")
    zero = read(dockerrun={"config": {"timeout": 0}})
    assert zero.settings.docker.timeouts.signal == 60.0


def test_listen_at_the_root() -> None:
    reading = read(listen="127.0.0.1:2022")
    assert reading.settings.ssh.listen == "127.0.0.1:2022"
    (warning,) = reading.warnings
    assert (warning.path, warning.code) == ("listen", "CONFIG_LISTEN_DEPRECATED")


def test_the_new_key_goes_before_the_old_one() -> None:
    reading = read(listen="127.0.0.1:2022", ssh={"listen": "127.0.0.1:3022"})
    assert reading.settings.ssh.listen == "127.0.0.1:3022"
    assert "not used" in reading.warnings[0].found


def test_a_bad_address_is_said_of_the_key_that_has_it() -> None:
    assert refused(listen="2222").path == "listen"
    assert refused(ssh={"listen": "2222"}).path == "ssh.listen"
