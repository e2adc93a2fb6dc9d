"""`moorage check-config --containerssh`: each difference is told where it is met, and not where it is not."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner

from moorage.cli import main
from moorage.config import HARDENING, check_config
from moorage.containerssh import DIFFERENCES
from tests.moorage.test_config import CONFIG, HEAD, _file, _with_keys


def told(path: Path) -> dict[str, str]:
    out = io.StringIO()
    check_config(path, out, containerssh=True)
    lines = [line for line in out.getvalue().splitlines() if line.startswith("different: ")]
    return {line.split(": ")[1]: line for line in lines}


def differences(folder: Path, text: str) -> dict[str, str]:
    return told(_file(folder, HEAD + text))


ALWAYS = {"ssh.hostkeys", "commands", "removal", "errors"}
EXECUTION = "docker.execution"


def test_what_is_always_different(tmp_path: Path) -> None:
    assert differences(tmp_path, "").keys() >= ALWAYS
    always = {difference.key for difference in DIFFERENCES if difference.applies.__name__ == "_always"}
    assert always == ALWAYS


# Each difference: a configuration that meets it and one that does not.
MET = {
    f"{EXECUTION}.container.image": ("docker: {execution: {}}", "docker: {execution: {container: {Image: x:1}}}"),
    "dockerrun.config.container.image": (
        "backend: dockerrun",
        "dockerrun: {config: {container: {image: x}}}",
    ),
    f"{EXECUTION}.idleCommand": ("", "docker: {execution: {idleCommand: [x]}}"),
    f"{EXECUTION}.shellCommand": ("", "docker: {execution: {mode: session}}"),
    f"{EXECUTION}.container.entrypoint": ("", "docker: {execution: {mode: session}}"),
    f"{EXECUTION}.mode": ("docker: {execution: {mode: session}}", ""),
    f"{EXECUTION}.imagePullPolicy": (
        "docker: {execution: {container: {image: 'r:5000/x'}}}",
        "docker: {execution: {container: {image: x:1}}}",
    ),
    f"{EXECUTION}.auth": ("docker: {execution: {auth: {username: x}}}", ""),
    f"{EXECUTION}.agentPath, disableAgent": ("docker: {execution: {disableAgent: true}}", ""),
    f"{EXECUTION}.exposeAuthMetadataAsEnv": ("docker: {execution: {exposeAuthMetadataAsEnv: true}}", ""),
    "docker.timeouts.http": ("docker: {connection: {host: 'tcp://h:1'}}", ""),
    "dockerrun": ("backend: dockerrun", ""),
    "configserver": ("configserver: {url: 'http://x'}", ""),
    "security.maxSessions": ("security: {maxSessions: 10}", "security: {maxSessions: -1}"),
    "security.signal": ("security: {signal: {mode: disable}}", ""),
    "security": ("security: {env: {deny: [x]}}", "security: {env: {allow: []}}"),
    "security.forwarding": ("security: {forwarding: {forwardingMode: disable}}", ""),
    "ssh.serverVersion": ("", None),
    "ssh.ciphers, kex, macs": ("", None),
    "ssh.clientAliveInterval": (None, ""),
    "log.file": ("log: {destination: file}", "log: {destination: file, file: x}"),
    "log": ("log: {level: debug}", ""),
    "health": ("health: {enable: false}", ""),
}


@pytest.mark.parametrize("key", MET)
def test_each_difference_is_told_where_it_is_met(key: str, tmp_path: Path) -> None:
    met, not_met = MET[key]
    if met is not None:
        assert differences(tmp_path, met)[key].startswith(f"different: {key}: there ")
    if not_met is not None:
        assert key not in differences(tmp_path, not_met)


def test_each_difference_has_its_test() -> None:
    assert {difference.key for difference in DIFFERENCES} == ALWAYS | set(MET)


def test_keys_of_the_ssh_section(tmp_path: Path) -> None:
    own = "serverVersion: SSH-2.0-x, ciphers: [aes128-ctr], kex: [curve25519-sha256], macs: [hmac-sha2-256]"
    text = HEAD.replace("host_key]", f"host_key], {own}, clientAliveInterval: 30s")
    found = told(_file(tmp_path, text))
    assert not {"ssh.serverVersion", "ssh.ciphers, kex, macs"} & found.keys()
    assert "ssh.clientAliveInterval" in found


def test_the_image_that_is_left_out_is_named(tmp_path: Path) -> None:
    line = differences(tmp_path, "")[f"{EXECUTION}.container.image"]
    assert "containerssh/containerssh-guest-image" in line and "moorage/guest:1" in line


def test_problems_and_remarks_are_told_as_well(tmp_path: Path) -> None:
    out = io.StringIO()
    path = _file(tmp_path, f"{HEAD}docker: {{timeouts: {{http: 15000000000}}}}\nbackend: kubernetes\n")
    assert check_config(path, out, containerssh=True) == 1
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("backend: invalid backend: kubernetes")
    assert "15 s; write 15s" in lines[1]
    assert any(line.startswith("different: ") for line in lines[2:])
    assert "ok" not in lines


def test_only_when_it_is_asked_for(tmp_path: Path) -> None:
    path = _with_keys(CONFIG / "examples/containerssh.yaml", tmp_path)
    assert CliRunner().invoke(main, ["check-config", str(path)]).output == f"recommended: {HARDENING}\nok\n"
    report = CliRunner().invoke(main, ["check-config", "--containerssh", str(path)])
    assert report.exit_code == 0
    assert report.output.endswith("ok\n") and "different: " in report.output
    assert check_config(tmp_path / "none.yaml", io.StringIO(), containerssh=True) == 2
