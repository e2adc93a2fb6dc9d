"""Whatever hands the host to a container is found, in any spelling; what only looks like it is not."""

from typing import Any, get_args

import pytest
from msgspec.structs import replace

from protocol.dangers import dangers, own_files, plain_path, refusals
from protocol.settings import Auth, Execution, Record, Settings, Ssh
from protocol.settings_checks import per_login_problems
from protocol.settings_read import SettingsError, read_settings
from protocol.settings_types import Dangerous


def volume(**options: str) -> dict[str, Any]:
    driver = {"Name": "local", "Options": options}
    return {"Mounts": [{"Type": "volume", "Source": "v", "Target": "/v", "VolumeOptions": {"DriverConfig": driver}}]}


BAD: list[tuple[Dangerous, dict[str, Any]]] = [
    ("privileged", {"Privileged": True}),
    ("privileged", {"Privileged": False, "privileged": True}),  # the engine takes both spellings, the last one wins
    ("hostNetwork", {"NetworkMode": "host"}),
    ("hostNetwork", {"networkmode": " Host"}),
    ("hostNetwork", {"NetworkMode": "ns:/proc/1/ns/net"}),
    ("hostPid", {"PidMode": "host"}),
    ("hostIpc", {"IpcMode": "host"}),
    ("hostUts", {"UTSMode": "host"}),
    ("hostUser", {"UsernsMode": "host"}),
    ("hostCgroup", {"CgroupnsMode": "host"}),
    ("capabilities", {"CapAdd": ["NET_RAW", "cap_sys_admin"]}),
    ("capabilities", {"CapAdd": ["all"]}),
    ("systemPaths", {"ReadonlyPaths": []}),
    ("volumesFrom", {"VolumesFrom": ["other:ro"]}),
    ("engineSocket", {"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]}),
    ("engineSocket", {"Binds": ["/run/docker.sock:/s:ro"]}),
    ("engineSocket", {"Binds": ["/var//run/../run/docker.sock:/s"]}),
    ("engineSocket", {"Binds": ["//run:/r"]}),
    ("engineSocket", {"Binds": ["/var/run/:/r"]}),
    ("engineSocket", {"Binds": ["/var:/v"]}),
    ("engineSocket", {"Binds": ["/:/host:ro"]}),
    ("engineSocket", {"Binds": ["/tmp/other/docker.sock:/s"]}),
    ("engineSocket", {"Binds": ["/run/user/1000:/r"]}),
    ("engineSocket", {"Binds": ["/run/user/1000/podman:/r"]}),
    ("engineSocket", {"Binds": ["/run/containerd:/r"]}),
    ("engineSocket", {"Mounts": [{"Type": "bind", "Source": "/run/podman", "Target": "/p"}]}),
    ("engineSocket", {"mounts": [{"source": "/run/podman/podman.sock", "target": "/p"}]}),
    (
        "engineSocket",
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Target": "/p",
                    "VolumeOptions": {"DriverConfig": {"Options": {"o": "bind", "type": "none", "device": "/var/run"}}},
                }
            ]
        },
    ),
    ("devices", volume(device="/dev/sda1", type="ext4")),
    ("engineSocket", volume(device=":/", type="none")),
    ("engineSocket", volume(type="overlay", o="lowerdir=/srv/a:/var/run,upperdir=/srv/b")),
    ("devices", {"Devices": [{"PathOnHost": "/dev/sda1", "PathInContainer": "/dev/x"}]}),
    ("devices", {"Devices": [{"pathonhost": "/dev/disk/by-id/7"}]}),
    ("devices", {"Devices": [{"PathOnHost": "/dev/mem"}]}),
    ("devices", {"Devices": [{"PathOnHost": "/dev/"}]}),
    ("devices", {"DeviceCgroupRules": ["a *:* rwm"]}),
    ("devices", {"DeviceCgroupRules": ["b 8:* r"]}),
    ("devices", {"DeviceCgroupRules": ["c 1:* rwm"]}),
    ("devices", {"DeviceCgroupRules": ["c *:1 rwm"]}),
]
FINE: list[dict[str, Any]] = [
    {},
    {"Privileged": False, "NetworkMode": "bridge", "PidMode": "container:x", "IpcMode": "private", "UsernsMode": None},
    {"CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"], "SecurityOpt": ["seccomp=unconfined"]},
    {"ReadonlyPaths": ["/proc/sys"]},
    {"Binds": ["name:/data", "/srv/course:/course:ro", "/runner:/r", "/var/running:/v", "/run/moorage:/m"]},
    {"Mounts": [{"Type": "volume", "Source": "name", "Target": "/d"}, {"Type": "tmpfs", "Target": "/t"}]},
    {"Mounts": [{"Type": "volume", "Target": "/d", "VolumeOptions": {"DriverConfig": {"Options": {"o": "size=1"}}}}]},
    {"Mounts": [{"Type": "volume", "Target": "/d", "VolumeOptions": {"DriverConfig": {"Options": {"device": "/x"}}}}]},
    volume(device=":/", type="nfs", o="addr=192.0.2.1,rw"),
    volume(device="//files/run", type="cifs"),
    volume(device="/srv/data", type="none", o="bind"),
    {"Devices": [{"PathOnHost": "/dev/fuse"}, {"PathOnHost": "/dev/net/tun"}, {}]},
    {"DeviceCgroupRules": ["c 10:200 rwm", "c 1:3 rw", "c 195:* rwm"]},
]


@pytest.mark.parametrize(("name", "host"), BAD)
def test_each_is_found_and_let_pass_only_by_its_name(name: Dangerous, host: dict[str, Any]) -> None:
    assert {danger.name for danger in dangers(Execution(host=host))} == {name}
    assert list(refusals(Execution(host=host, allow_dangerous=(name,)))) == []
    others = tuple(other for other in get_args(Dangerous) if other != name)
    (problem,) = refusals(Execution(host=host, allow_dangerous=others))
    assert problem.path.startswith("docker.execution.host.")
    assert f"name {name} in docker.execution.allowDangerous" in problem.advice


@pytest.mark.parametrize("host", FINE)
def test_what_only_looks_like_it(host: dict[str, Any]) -> None:
    assert list(dangers(Execution(host=host))) == []


def test_every_name_is_of_use() -> None:
    assert {name for name, _ in BAD} | {"ownFiles"} == set(get_args(Dangerous))


OWN = Settings(
    ssh=Ssh(hostkeys=("/etc/moorage/host_key", "-----BEGIN OPENSSH PRIVATE KEY-----")),
    state="/srv/moorage/var",
    record=Record(directory="/data/recordings"),
    auth=Auth(users_file="/etc/moorage/users.yaml", revoked_keys="/data/krl"),
)


def bind(source: str) -> dict[str, Any]:
    return {"Binds": [f"{source}:/x:ro"]}


@pytest.mark.parametrize(
    "host",
    [
        bind("/srv/moorage/var"),
        bind("/srv/moorage"),
        bind("/srv/"),
        bind("/srv//moorage/../moorage/var/boots"),
        bind("/data/recordings/2026"),
        bind("/data"),
        bind("/data/krl"),
        bind("/etc"),
        bind("/etc/moorage/host_key"),
        {"Mounts": [{"Type": "bind", "Source": "/etc/moorage/users.yaml", "Target": "/u"}]},
        volume(device="/srv/moorage", type="none", o="bind"),
        volume(type="overlay", o="lowerdir=/srv/moorage/var,upperdir=/x,workdir=/y"),
    ],
    ids=str,
)
def test_what_moorage_keeps_for_itself(host: dict[str, Any]) -> None:
    execution = Execution(host=host)
    (danger,) = dangers(execution, own=own_files(OWN))
    assert danger.name == "ownFiles"
    settings = replace(OWN, docker=replace(OWN.docker, execution=execution))
    (problem,) = per_login_problems(settings)
    assert problem.path.startswith("docker.execution.host.") and "which Moorage keeps for itself" in problem.found
    assert "name ownFiles in docker.execution.allowDangerous" in problem.advice
    allowed = replace(execution, allow_dangerous=("ownFiles",))
    assert not list(per_login_problems(replace(OWN, docker=replace(OWN.docker, execution=allowed))))


def test_what_lies_beside_it_and_the_whole_host() -> None:
    for source in ("/srv/moorage-data", "/srv/moorage/var2", "/etc/moorage/host_key.pub", "/data/kr"):
        assert not list(dangers(Execution(host=bind(source)), own=own_files(OWN)))
    both = {danger.name for danger in dangers(Execution(host=bind("/")), own=own_files(OWN))}
    assert both == {"engineSocket", "ownFiles"}
    var = Execution(host=bind("/var/lib/var"))
    assert not list(dangers(var, own=own_files(Settings()))), "what is relative is for who can look"
    (danger,) = dangers(var, real=lambda path: "/var/lib/var" if path == "var" else path, own=("var",))
    assert danger.name == "ownFiles"


def test_the_hosts_network_as_an_endpoint() -> None:
    (danger,) = dangers(Execution(network={"endpointsconfig": {"host": {}}}))
    assert danger.name == "hostNetwork"
    assert list(dangers(Execution(network={"EndpointsConfig": {"blue": {}}}))) == []


def test_the_engines_own_socket_wherever_it_is() -> None:
    execution = Execution(host={"Binds": ["/srv/engine:/e"]})
    assert list(dangers(execution)) == []
    assert [danger.name for danger in dangers(execution, sockets=["/srv/engine/e.sock"])] == ["engineSocket"]


def test_what_a_link_leads_to_is_for_who_can_look() -> None:
    links = {"/srv/a": "/run", "/srv/disk": "/dev/sda", "/var/run/docker.sock": "/mnt/real.sock", "/srv/b": "/mnt"}
    execution = Execution(
        host={"Binds": ["/srv/a:/a", "/srv/b:/b", "/srv/c:/c"], "Devices": [{"PathOnHost": "/srv/disk"}]}
    )
    found = [danger.path for danger in dangers(execution, real=lambda path: links.get(path, path))]
    host = "docker.execution.host"
    assert sorted(found) == [f"{host}.Binds[0]", f"{host}.Binds[1]", f"{host}.Devices[0]"]


def test_settings_from_elsewhere_do_not_allow_themselves_anything() -> None:
    execution = Execution(host={"Privileged": True}, allow_dangerous=("privileged",))
    assert list(refusals(execution)) == []
    assert [problem.path for problem in refusals(execution, allowed=())] == ["docker.execution.host.privileged"]


@pytest.mark.parametrize("path", ["/var/run", "//var/run/", "/run", "/var/lib/../run/."])
def test_plain_paths(path: str) -> None:
    assert plain_path(path) == "/run"


USERS = {"users": {"a": {"passwordHash": "$2b$12$" + "a" * 53}}}


def _problems(**sections: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        read_settings({"auth": USERS, **sections})
    return {problem.path: problem.sentence for problem in caught.value.problems}


def test_a_file_that_asks_for_it_is_refused() -> None:
    host = {"privileged": True, "binds": ["/srv/e.sock:/s"]}
    connection = {"host": "unix:///srv/e.sock"}
    problems = _problems(docker={"connection": connection, "execution": {"host": host}})
    assert problems == {
        "docker.execution.host.privileged": "true gives the container the whole host; take it out, or name privileged "
        "in docker.execution.allowDangerous",
        "docker.execution.host.Binds[0]": "/srv/e.sock is or holds the engine's socket; take it out, or name "
        "engineSocket in docker.execution.allowDangerous",
    }


def test_a_file_of_old_is_told_where_the_key_is() -> None:
    problems = _problems(dockerrun={"config": {"host": {"privileged": True}}})
    assert list(problems) == ["dockerrun.config.host.privileged"]
    assert "rewrite the file (`moorage migrate`) and name privileged" in problems["dockerrun.config.host.privileged"]


def test_the_name_lets_it_pass_and_a_slip_in_it_does_not() -> None:
    execution = {"host": {"privileged": True}, "allowDangerous": ["privileged"]}
    reading = read_settings({"auth": USERS, "docker": {"execution": execution}})
    assert reading.settings.docker.execution.allow_dangerous == ("privileged",)
    problems = _problems(docker={"execution": {**execution, "allowDangerous": ["priviledged"]}})
    assert "did you mean privileged?" in problems["docker.execution.allowDangerous[0]"]


def test_parts_without_the_whole_are_a_remark() -> None:
    reading = read_settings({"auth": USERS, "docker": {"execution": {"hardeningOff": ["capabilities"]}}})
    assert [warning.path for warning in reading.warnings] == ["docker.execution.hardeningOff"]
