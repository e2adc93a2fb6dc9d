"""Rules that span keys: each refusal once, and the values beside it that are taken."""

from typing import Any

import msgspec
import pytest

from protocol.settings import Settings
from protocol.settings_auth_checks import hash_problem
from protocol.settings_checks import problems_of, remarks_on

PEM = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n"
ARGON = "$argon2id$v=19$m=19456,t=2,p=1$FILQ2vsfozSm1HpPaQ2hlA$+lTbVX8a0uSolcGq5SJbqWPZuH1ab8rVwVxNVpeVM40"
SHA512 = f"$6$salt${'a' * 86}"
BCRYPT = f"$2b$12${'a' * 53}"


def _settings(tree: dict[str, Any]) -> Settings:
    return msgspec.convert({"auth": {"users": {"a": {"authorizedKeys": ["keys.pub"]}}}, **tree}, Settings)


def _problems(tree: dict[str, Any]) -> dict[str, str]:
    return {problem.path: problem.sentence for problem in problems_of(_settings(tree))}


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:2222", ":2222", "[::]:2222", "[fe80::1%eth0]:22", "localhost:0", "a.example:65535"]
)
def test_addresses_to_listen_on(listen: str) -> None:
    assert _problems({"ssh": {"listen": listen}}) == {}


@pytest.mark.parametrize(
    "listen", ["", "2222", "::1:2222", "host:", "host:65536", "host:ssh", "a b:22", "[::1]", "host:-1"]
)
def test_what_is_no_address(listen: str) -> None:
    assert list(_problems({"ssh": {"listen": listen}})) == ["ssh.listen"]


@pytest.mark.parametrize("version", ["SSH-2.0-Moorage", "SSH-2.0-a_1.2 with words - and all", "SSH-2.0-" + "x" * 245])
def test_versions(version: str) -> None:
    assert _problems({"ssh": {"serverVersion": version}}) == {}


@pytest.mark.parametrize(
    "version",
    ["", "SSH-2.0-", "SSH-1.99-x", "Moorage", "SSH-2.0-a-b", "SSH-2.0-é", "SSH-2.0-a\n", "SSH-2.0-" + "x" * 246],
)
def test_bad_versions(version: str) -> None:
    assert list(_problems({"ssh": {"serverVersion": version}})) == ["ssh.serverVersion"]


def test_times_and_lists_of_the_ssh_server() -> None:
    assert _problems({"ssh": {"clientAliveInterval": 1.0}}) == {}
    tree = {"clientAliveInterval": 0.5, "loginGrace": 0, "ciphers": ["aes128-ctr", " "], "kex": [""], "hostkeys": [""]}
    paths = ["ssh.clientAliveInterval", "ssh.loginGrace", "ssh.ciphers[1]", "ssh.kex[0]", "ssh.hostkeys[0]"]
    assert list(_problems({"ssh": tree})) == paths


@pytest.mark.parametrize(
    "host", ["", "unix:///run/docker.sock", "tcp://10.0.0.1:2375", "http://engine", "https://[::1]:2376"]
)
def test_engines(host: str) -> None:
    assert _problems({"docker": {"connection": {"host": host}}}) == {}


@pytest.mark.parametrize(
    "host",
    [
        "ssh://host",
        "npipe:////./pipe/docker",
        "/run/docker.sock",
        "unix://run/docker.sock",
        "tcp://",
        "tcp://h:x",
        "tcp://h:0",
        "http://[::1",
    ],
)
def test_what_is_no_engine(host: str) -> None:
    assert list(_problems({"docker": {"connection": {"host": host}}})) == ["docker.connection.host"]


def test_tls_is_all_or_nothing() -> None:
    every = {"cacert": PEM, "cert": PEM, "key": PEM}
    assert _problems({"docker": {"connection": every}}) == {}
    halves = _problems({"docker": {"connection": {"cacert": PEM}}})
    assert "by halves: cert and key not given" in halves["docker.connection"]
    assert list(_problems({"docker": {"connection": {**every, "key": "key.pem"}}})) == ["docker.connection.key"]


@pytest.mark.parametrize("image", ["", " "])
def test_an_empty_image(image: str) -> None:
    problems = _problems({"docker": {"execution": {"container": {"Image": image}}}})
    assert "no image name provided" in problems["docker.execution.container.image"]


def test_served_without_an_agent() -> None:
    problems = _problems({"docker": {"execution": {"transport": "served", "disableAgent": True}}})
    assert "disableAgent" in problems["docker.execution.transport"]
    for transport in ("auto", "exec"):
        assert "docker.execution.transport" not in _problems(
            {"docker": {"execution": {"transport": transport, "disableAgent": True}}}
        )


@pytest.mark.parametrize(("key", "words"), [("idleCommand", "idle command"), ("shellCommand", "shell command")])
def test_commands_by_mode(key: str, words: str) -> None:
    problems = _problems({"docker": {"execution": {key: []}}})
    assert f'{words} required for execution mode "connection"' in problems[f"docker.execution.{key}"]
    assert _problems({"docker": {"execution": {"mode": "session", key: []}}}) == {}


@pytest.mark.parametrize("name", ["no", "", None])
def test_a_session_without_a_restart_policy(name: str | None) -> None:
    host = {"RestartPolicy": {} if name is None else {"Name": name}}
    assert _problems({"docker": {"execution": {"mode": "session", "host": host}}}) == {}


def test_a_session_with_a_restart_policy() -> None:
    host = {"RestartPolicy": {"Name": "always"}}
    problems = _problems({"docker": {"execution": {"mode": "session", "host": host}}})
    sentence = 'unsupported restart policy for execution mode "session": always (session containers may not restart)'
    assert sentence in problems["docker.execution.host.restartPolicy"]
    assert _problems({"docker": {"execution": {"mode": "connection", "host": host}}}) == {}


def test_names_in_the_execution_tree() -> None:
    execution = {
        "containername": "-x",
        "subsystems": {"sftp": "", "": "/bin/true", "ok": "/bin/true"},
        "container": {"Image": "x", "Env": ["A=b", "=c", "", "D"]},
    }
    assert list(_problems({"docker": {"execution": execution}})) == [
        "docker.execution.container.env[1]",
        "docker.execution.container.env[2]",
        "docker.execution.containername",
        "docker.execution.subsystems.sftp",
        "docker.execution.subsystems.",
    ]


def test_ways_in() -> None:
    users: dict[str, Any] = {
        "none": {},
        "": {"passwordHash": BCRYPT},
        "a\tb": {"passwordHash": BCRYPT},
        "keys": {"authorizedKeys": [" ", "ok.pub", "-----BEGIN OPENSSH PRIVATE KEY-----"]},
        "plain": {"passwordHash": "swordfish"},
        "both": {"authorizedKeys": ["ok.pub"], "passwordHash": ARGON},
    }
    problems = _problems({"auth": {"users": users}})
    assert list(problems) == [
        "auth.users.none",
        "auth.users.",
        "auth.users.a\tb",
        "auth.users.keys.authorizedKeys[0]",
        "auth.users.keys.authorizedKeys[2]",
        "auth.users.plain.passwordHash",
    ]
    assert "moorage hash-password" in problems["auth.users.plain.passwordHash"]
    assert list(_problems({"auth": {}})) == ["auth.users"]


@pytest.mark.parametrize("text", [ARGON, SHA512, f"$6$rounds=5000$salt${'/' * 86}", BCRYPT, f"$2y$05${'.' * 53}"])
def test_hashes(text: str) -> None:
    assert hash_problem(text) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("swordfish", "not a password hash"),
        (ARGON[:-30], "damaged"),
        (f"{ARGON}\n", "damaged"),
        (BCRYPT[:-1], "damaged"),
        (SHA512 + "a", "damaged"),
        ("$y$j9T$salt$hash", "yescrypt"),
        ("$5$salt$hash", "sha256-crypt"),
        ("$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA", "argon2i"),
    ],
)
def test_what_is_no_hash_here(text: str, words: str) -> None:
    assert words in hash_problem(text)
    assert text not in hash_problem(text)


def test_what_is_written_where() -> None:
    log = {"destination": "file", "file": ""}
    assert list(_problems({"log": log, "state": ""})) == ["log.file", "state"]
    assert _problems({"log": {**log, "destination": "stdout"}}) == {}
    assert list(_problems({"log": {"destination": "syslog", "syslog": {"destination": ""}}})) == [
        "log.syslog.destination"
    ]
    assert _problems({"log": {"destination": "syslog"}}) == {}


def test_remarks() -> None:
    execution = {"containername": "one", "container": {"Image": "x", "Cmd": ["sh"]}, "host": {"AutoRemove": True}}
    paths = [remark.path for remark in remarks_on(_settings({"docker": {"execution": execution}}))]
    assert paths == [
        "docker.execution.containername",
        "docker.execution.container.cmd",
        "docker.execution.host.autoRemove",
    ]
    assert list(remarks_on(_settings({}))) == []


def test_a_pool_needs_names_of_its_own() -> None:
    """Two spares cannot have one name."""
    fixed = {"execution": {"containername": "guest"}}
    assert _problems({"docker": {"pool": {"size": 1}}}) == {}
    assert list(_problems({"docker": {**fixed, "pool": {"size": 1}}})) == ["docker.pool.size"]
    assert _problems({"docker": fixed}) == {}
