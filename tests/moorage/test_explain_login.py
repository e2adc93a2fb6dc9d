"""`moorage explain`: what is told of a login is what the daemon would do, and nothing is started for it."""

import socket
import subprocess
from pathlib import Path

import asyncssh
import pytest
import trio
import trio_asyncio
from click.testing import CliRunner, Result

from moorage.cli import main
from protocol.settings_secrets import HIDDEN
from tests.webservice import Answer, open_service, status

KEY, OTHER = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
FILE = """
ssh: {hostkeys: [host]}
docker: {execution: {container: {image: 'base:1'}, host: {networkMode: none}}}
auth: {users: {alice: {authorizedKeys: [alice.pub], groups: [staff]}}}
rules:
  - name: staff
    groups: [staff]
    templates: [big]
    settings: {docker: {execution: {container: {image: 'staff:1', env: [TOKEN=hunter2]}, host: {binds: ['/a:/b']}}}}
  - name: local
    addresses: [127.0.0.0/8]
    settings: {security: {command: {mode: filter, allow: [id]}, shell: {mode: disable}, maxSessions: 2}}
templates:
  big: {docker: {execution: {host: {resources: {memory: 1024}}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, key in (("host", KEY), ("alice", KEY), ("other", OTHER)):
        key.write_private_key(tmp_path / name)
        (tmp_path / name).chmod(0o600)
        key.write_public_key(tmp_path / f"{name}.pub")
    (tmp_path / "m.yaml").write_text(FILE)
    return tmp_path


def explain(folder: Path, *words: str) -> tuple[int, dict[str, list[str]]]:
    done = run(folder, *words)
    found: dict[str, list[str]] = {}
    label = ""
    for line in done.stdout.splitlines():
        label = line[:12].strip() or label
        found.setdefault(label, []).append(line[12:])
    return done.exit_code, found


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["explain", "--config", str(folder / "m.yaml"), *words], prog_name="moorage")


def test_what_a_user_would_have(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)  # nobody is asked
    status_, told = explain(folder, "alice", "--from", "192.0.2.1", "--key", str(folder / "alice.pub"))
    assert status_ == 0
    assert told == {
        "user": ["alice"],
        "groups": ["staff"],
        "from": ["192.0.2.1"],
        "ways in": ["publickey"],
        "key": [KEY.get_fingerprint(), "is let in by the configuration"],
        "rules": ["staff: matches, allows big", "local: no, by its addresses"],
        "settings": [
            'docker.execution.container.Image = "staff:1" (rule staff)',
            f'docker.execution.container.Env = ["TOKEN={HIDDEN}"] (rule staff)',
            'docker.execution.host.Binds = ["/a:/b"] (rule staff)',
        ],
        "image": ["staff:1, pulled IfNotPresent"],
        "container": ["one for each connection"],
        "limits": ["none"],
        "hardening": ["engine"],
        "network": ["none"],
        "volumes": ["Binds: ['/a:/b']"],
        "policy": ["all is allowed but forwarding"],
        "shell": ["may run"],
    }


def test_a_template_and_a_command(folder: Path) -> None:
    status_, told = explain(folder, "alice+big", "--from", "127.0.0.1", "--command", "id")
    assert status_ == 0 and told["command"] == ["may run"] and told["template"] == ["big"]
    assert told["limits"] == ["Memory 1024"]
    assert told["settings"][-1] == "docker.execution.host.Memory = 1024 (template big)"
    assert told["policy"] == ["shell: disable", "command: filter, with allow", "maxSessions: 2"]


@pytest.mark.parametrize(
    ("words", "label", "end"),
    [
        (("alice", "--from", "127.0.0.1", "--command", "rm"), "command", "lists of what is allowed"),
        (("alice", "--from", "127.0.0.1"), "shell", "security.shell.mode is disable"),
        (("alice+big",), "", ""),
        (("eve+big",), "refused", "no rule allows big to this login"),
        (("eve",), "ways in", "none: nobody else is asked about names"),
    ],
)
def test_what_is_refused_is_1(folder: Path, words: tuple[str, ...], label: str, end: str) -> None:
    status_, told = explain(folder, *words)
    assert status_ == (1 if label else 0)
    assert not label or told[label][0].endswith(end)


def test_limits_and_hardening(folder: Path) -> None:
    bounds = "limits: {user: {sessions: 3, loginRate: {logins: 5}}, address: {connections: 9}, idle: 5m, total: 1h}\n"
    hardening = "{hardening: strict, hardeningOff: [capabilities], container: "
    (folder / "m.yaml").write_text(
        FILE.replace("docker: {execution: {container: ", f"docker: {{execution: {hardening}") + bounds
    )
    told = explain(folder, "alice")[1]
    assert told["hardening"] == ["strict", "not capabilities"]
    assert told["limits"][-5:] == [
        "3 sessions of a user at a time",
        "5 logins of a user in 60 s",
        "9 connections of an address at a time",
        "300 s without a byte",
        "3600 s in all",
    ]
    assert any(line.startswith("PidsLimit ") for line in told["limits"])  # a part of what is strict


def test_a_key_of_somebody_else(folder: Path) -> None:
    status_, told = explain(folder, "alice", "--key", str(folder / "other.pub"), "--from", "::1")
    assert status_ == 1 and told["key"][1] == "is not let in: it is not one of this user's"


def test_a_key_with_options_and_one_for_others_to_judge(folder: Path) -> None:
    line = (folder / "alice.pub").read_text().strip()
    (folder / "alice.pub").write_text(f'restrict,command="uptime" {line}\n')
    assert explain(folder, "alice", "--key", str(folder / "host.pub"))[1]["key"][2:] == [
        "no terminal",
        "no forwarding",
        "its own command runs: uptime",
    ]
    more = "  authorizedKeysCommand: {command: [/bin/true], user: nobody}\n"
    more += "  publicKey: {method: webhook, webhook: {url: 'http://x'}}\n"
    (folder / "m.yaml").write_text(
        FILE.replace("auth: {users: ", "auth:\n  users: ").replace("[staff]}}}", "[staff]}}\n" + more)
    )
    status_, told = explain(folder, "eve", "--key", str(folder / "other.pub"))
    assert status_ == 0
    assert told["user"] == ["eve, not in the configuration"]
    assert told["key"][1].startswith("is for authorizedKeysCommand and the webhook to judge")


def test_a_certificate(folder: Path) -> None:
    command = ["ssh-keygen", "-q", "-s", str(folder / "host"), "-I", "x", "-n", "bob", str(folder / "other.pub")]
    subprocess.run(command, check=True)
    (folder / "m.yaml").write_text(FILE.replace("auth: {", "auth: {trustedUserCAKeys: [host.pub], "))
    certificate = str(folder / "other-cert.pub")
    words = ("--key", certificate, "--from", "192.0.2.1")
    assert explain(folder, "bob", *words)[1]["key"][1] == "is let in by the configuration"
    assert explain(folder, "alice", *words)[0] == 1
    assert explain(folder, "bob", "--key", certificate)[1]["key"][1].endswith("not known (--from was not given)")


def test_a_key_that_is_revoked(folder: Path) -> None:
    (folder / "revoked").write_text("")
    (folder / "m.yaml").write_text(FILE.replace("auth: {", "auth: {revokedKeys: revoked, "))
    words = ("alice", "--key", str(folder / "alice.pub"))
    assert explain(folder, *words)[0] == 0
    (folder / "revoked").write_text((folder / "alice.pub").read_text())
    status_, told = explain(folder, *words)
    assert status_ == 1 and told["key"][1] == "is not let in: its key is revoked"


def test_groups_that_others_would_name(folder: Path) -> None:
    assert explain(folder, "eve", "--group", "staff")[1]["rules"][0].startswith("staff: matches")


def test_a_forced_command(folder: Path) -> None:
    (folder / "m.yaml").write_text(FILE + "security: {forceCommand: motd}\n")
    assert explain(folder, "alice")[1]["shell"] == ["is replaced by security.forceCommand: motd"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("alice", "--from", "nowhere"), "'nowhere' is no address"),
        (("alice", "--key", "host"), "that is a private key; give the .pub file"),
        (("alice", "--key", "m.yaml"), "that is no public key: a line as in authorized_keys is wanted"),
        (("alice", "--key", "bytes"), "that is no public key: a line as in authorized_keys is wanted"),
        (("alice", "--key", "odd"), "the key is of no type that is known here"),
        (("alice", "--key", "bad"), "that is no public key: a line as in authorized_keys is wanted"),
    ],
)
def test_a_question_that_cannot_be_answered(
    folder: Path, words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    Path("bytes").write_bytes(b"\xff\xfe")
    Path("odd").write_text("ssh-odd AAAAB3Nz\n")
    Path("bad").write_text("ssh-odd AAAA!\n")
    done = run(folder, *words)
    assert (done.exit_code, done.stderr) == (1, f"moorage: {sentence}\n")


# The webhook.


async def _serve(folder: Path, answer: Answer, words: tuple[str, ...]) -> tuple[int, dict[str, list[str]], int]:
    async with trio_asyncio.open_loop(), open_service(answer) as service:
        (folder / "m.yaml").write_text(f"{FILE}configserver: {{url: '{service.url}/x'}}\n")
        status_, told = await trio.to_thread.run_sync(explain, folder, *words)
        assert all(line.startswith(f"{service.url}/x") for line in told["webhook"])
        return status_, told, len(service.heard)


def answered(folder: Path, answer: Answer, *words: str) -> tuple[int, dict[str, list[str]], int]:
    return trio.run(_serve, folder, answer, words)


def test_the_webhook_is_named_and_not_asked(folder: Path) -> None:
    status_, told, heard = answered(folder, status(500), "alice")
    assert (status_, heard) == (0, 0) and told["webhook"][0].endswith("is not asked (--ask)")


def test_the_webhook_is_asked(folder: Path) -> None:
    config = {"docker": {"execution": {"container": {"Image": "hook:1"}, "host": {"Binds": None}}}}
    status_, told, heard = answered(folder, lambda heard: {"config": config}, "alice", "--ask")
    assert (status_, heard) == (0, 1)
    assert told["image"] == ["hook:1, pulled IfNotPresent"] and told["volumes"] == ["none"]
    assert told["settings"][-1] == "docker.execution.host.Binds = taken away (the webhook)"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (status(403), "it answered with status 403"),
        (lambda heard: {"config": {"ssh": {"listen": ":1"}}}, "config.ssh: this is of the whole server"),
        (
            lambda heard: {"config": {"docker": {"execution": {"container": {"image": ""}}}}},
            "by rule staff, the webhook",
        ),
    ],
)
def test_a_webhook_that_has_nothing_to_use(folder: Path, answer: Answer, why: str) -> None:
    status_, told, heard = answered(folder, answer, "alice", "--ask")
    assert (status_, heard) == (1, 1) and told["refused"][0].startswith(why)


def test_a_template_that_is_refused_is_no_matter_for_the_webhook(folder: Path) -> None:
    (folder / "m.yaml").write_text(FILE + "configserver: {url: 'http://127.0.0.1:1'}\n")
    assert "webhook" not in explain(folder, "eve+big", "--ask")[1]
