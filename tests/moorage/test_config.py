"""Configuration files: YAML and JSON, their lines, names relative to them, and every file under config/."""

import io
from pathlib import Path
from typing import Any

import asyncssh
import msgspec
import pytest

from moorage.config import FILE_BYTES_MAX, HARDENING, VALUES_MAX, Unreadable, check_config, load
from protocol.settings import Settings
from protocol.settings_read import SettingsError

CONFIG = Path(__file__).parents[2] / "config"
CONFIGURATIONS = [*CONFIG.glob("*"), *(CONFIG / "examples").rglob("*")]
FILES = sorted(path for path in CONFIGURATIONS if path.suffix in (".yaml", ".json") and "schema" not in path.name)
HASH = "$2b$04$K7IOEYdX6u7mYW/rDSQcz.cnaaVn1DUsYolDGWK.ytqjtV3SSuZtS"
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
RSA_KEY = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
# Files that show old layouts, and the keys in them that are said to be old.
OLD_KEYS = {
    "containerssh-0.3.yaml": ["listen", "dockerrun", "dockerrun.config.timeout"],
    "containerssh-0.3-dump.yaml": ["listen", "dockerrun", "kuberun"],
}
# What is read for the sake of old files: the commented one, which is for new ones, need not show it.
NOT_SHOWN = ("dockerrun", "listen", "metrics", "health", "audit", "geoip")
HEAD = f"ssh: {{hostkeys: [host_key]}}\nauth: {{users: {{alice: {{passwordHash: '{HASH}'}}}}}}\n"


def _file(folder: Path, text: str | bytes, name: str = "moorage.yaml") -> Path:
    (folder / "host_key").write_bytes(HOST_KEY.export_private_key())
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _said(path: Path) -> tuple[int, list[str]]:
    out = io.StringIO()
    return check_config(path, out), out.getvalue().splitlines()


def _with_keys(path: Path, folder: Path) -> Path:
    """A copy of a file of config/ in `folder`, with the keys that it names beside it."""
    text = path.read_text().replace("/etc/containerssh/", "")
    copy = _file(folder, text, path.name)
    for name in ("ssh_host_ed25519_key", "ssh_host_rsa_key"):
        key = RSA_KEY if "rsa" in name else HOST_KEY
        (folder / name).write_bytes(key.export_private_key())
    for name in ("demo_key.pub", "ci.pub", "students.pub", "alice.pub", "user_ca.pub"):
        (folder / name).write_bytes(HOST_KEY.export_public_key())
    for users in (CONFIG / "examples").glob("*.users"):
        (folder / users.name).write_text(users.read_text())
    return copy


# --- config/ -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIG)))
def test_every_file_under_config_is_accepted_without_a_remark(path: Path, tmp_path: Path) -> None:
    status, lines = _said(_with_keys(path, tmp_path))
    remarks = [line.split(": ")[1] for line in lines if line.startswith("warning: ")]
    assert (status, lines[-1]) == (0, "ok")
    assert remarks == OLD_KEYS.get(path.name, [])


def test_the_examples_are_there() -> None:
    names = {path.name for path in FILES}
    assert names >= {
        "certificates.yaml",
        "two-factors.yaml",
        "users-file.yaml",
        "keys-command.yaml",
        "webhooks.yaml",
        "oidc.yaml",
        "rules.yaml",
    }
    assert names >= {"moorage.yaml", "containerssh.yaml", "session.yaml", "private-registry.yaml", "minimal.json"}


def test_the_commented_file_shows_every_default_and_nothing_else(tmp_path: Path) -> None:
    settings = load(_with_keys(CONFIG / "moorage.yaml", tmp_path)).settings
    shown: dict[str, Any] = msgspec.to_builtins(settings)
    default: dict[str, Any] = msgspec.to_builtins(Settings())
    assert shown["ssh"].pop("hostkeys") == (str(tmp_path / "ssh_host_ed25519_key"),)
    assert shown.pop("state") == str(tmp_path / "var")
    assert shown["auth"].pop("users") == {
        "demo": {
            "authorizedKeys": (str(tmp_path / "demo_key.pub"),),
            "passwordHash": "",
            "totp": "",
            "methods": (),
            "groups": (),
        }
    }
    for tree in (default, default["ssh"], default["auth"]):
        for key in ("hostkeys", "state", "users"):
            tree.pop(key, None)
    assert shown == default


def test_the_commented_file_names_every_key() -> None:
    text = (CONFIG / "moorage.yaml").read_text()
    tree: dict[str, Any] = msgspec.to_builtins(Settings())

    def names(tree: dict[str, Any]) -> set[str]:
        below = [names(value) for value in tree.values() if isinstance(value, dict)]
        return set(tree).union(*below)

    del tree["docker"]["execution"]["auth"]
    for section in NOT_SHOWN:
        del tree[section]
    for engine in ("container", "host", "network", "platform"):
        tree["docker"]["execution"][engine] = {}
    assert [name for name in names(tree) if f"{name}:" not in text] == []


def test_containersshs_tree_comes_out_in_the_apis_spelling(tmp_path: Path) -> None:
    settings = load(_with_keys(CONFIG / "examples/containerssh.yaml", tmp_path)).settings
    execution = settings.docker.execution
    assert execution.container["User"] == "1000"
    assert execution.container["Env"] == ["LANG=C.UTF-8", "CI=true"]
    assert execution.container["Labels"] == {"team": "blue", "on-call": "no"}
    assert execution.container["ExposedPorts"] == {"8080/tcp": {}}
    assert execution.host["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert execution.host["Memory"] == 536870912
    assert execution.host["Ulimits"] == [{"Name": "nofile", "Soft": 1024, "Hard": 4096}]
    assert execution.host["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}
    assert execution.network == {"EndpointsConfig": {"bridge": {"IPAMConfig": {"IPv4Address": ""}}}}
    assert settings.docker.timeouts.container_start == 90.0
    assert settings.log.level == "notice"


# --- what is said ------------------------------------------------------------------------------------------------


def test_ok_and_remarks(tmp_path: Path) -> None:
    path = _file(tmp_path, f"{HEAD}docker:\n  timeouts:\n    http: 60\n")
    status, lines = _said(path)
    assert status == 0
    assert lines[0].startswith("warning: docker.timeouts.http: the number 60 has no unit")
    assert lines[0].endswith("(line 5)")
    assert lines[1:] == [f"recommended: {HARDENING}", "ok"]


def test_all_problems_in_the_order_of_the_file_with_their_lines(tmp_path: Path) -> None:
    text = """\
log: {level: loud}
docker:
  execution:
    mode: sesion
    mode: session
    container:
      image: ""
ssh:
  ciphers: [aes128-ctr, rot13]
  hostkeys:
    - missing_key
  listen: 5
"""
    status, lines = _said(_file(tmp_path, text))
    assert status == 1
    assert lines.pop().startswith("auth.users: no authentication method")  # it has no line, so it comes last
    places = [(line.split(": ")[0], line.rpartition("(")[2].rstrip(")")) for line in lines]
    assert places == [
        ("log.level", "line 1"),
        ("docker.execution.mode", "line 5"),
        ("docker.execution.container.image", "line 7"),
        ("ssh.ciphers[1]", "line 9"),
        ("ssh.hostkeys[0]", "line 11"),
        ("ssh.listen", "line 12"),
    ]


def test_both_values_of_a_repeated_key_are_one_problem_in_json_too(tmp_path: Path) -> None:
    ways_in = f'"auth": {{"users": {{"a": {{"passwordHash": "{HASH}"}}}}}}'
    body = f'{{"ssh": {{"hostkeys": ["host_key"], "banner": "a", "banner": "b"}}, {ways_in}}}'
    status, lines = _said(_file(tmp_path, body, "moorage.json"))
    assert (status, lines) == (1, ["ssh.banner: this key is given twice; keep one"])
    assert _said(_file(tmp_path, body.replace(', "banner": "b"', ""), "moorage.json")) == (
        0,
        [f"recommended: {HARDENING}", "ok"],
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ssh: [", "line 1"),
        ("a: b: c", "line 1, column 5"),
        ("\tssh: {}", "line 1"),
        ("a: *nowhere", "undefined alias"),
        ("--- {}\n--- {}\n", "expected a single document"),
        (b"\xff\xfe\x00", "unacceptable character"),
        ("a: !!python/object:os.system x", "tag"),
        ("a: &a [*a]", "holds itself"),
        ("%YAML 9.9\n---\nssh: {}\n", "incompatible YAML document"),
        ("auth:\n%YAML 9.9\n  users: {}\n", "neither 1.1 nor 1.2"),
        ("[" * 1500, "nested too deep"),
        ("a: " + "[" * 65, "nested too deep"),
        ("a: " + "{b: " * 65, "nested too deep"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
                for before, name in zip("abcde", "bcdef", strict=True)
            ),
            f"more than {VALUES_MAX} values",
        ),
        ("#" * (FILE_BYTES_MAX + 1), "larger than"),
    ],
)
def test_a_file_that_is_no_yaml(text: str | bytes, words: str, tmp_path: Path) -> None:
    path = _file(tmp_path, text)
    status, (line,) = _said(path)
    assert status == 2
    assert line.startswith(str(path))
    assert words in line


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', '{"a": 1,}', b"\xff", "ssh: {}", "[" * 100_000])
def test_a_file_that_is_no_json(text: str | bytes, tmp_path: Path) -> None:
    assert _said(_file(tmp_path, text, "moorage.json"))[0] == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    status, (line,) = _said(tmp_path / "none.yaml")
    assert (status, line) == (2, f"{tmp_path / 'none.yaml'}: No such file or directory")
    assert _said(tmp_path)[0] == 2
    with pytest.raises(Unreadable):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "~"])
def test_an_empty_file_tells_how_to_add_a_user(text: str, tmp_path: Path) -> None:
    status, lines = _said(_file(tmp_path, text))
    assert status == 1
    assert any(line.startswith("auth.users: no authentication method") for line in lines)


def test_a_file_that_is_a_list(tmp_path: Path) -> None:
    assert _said(_file(tmp_path, "- ssh: {}")) == (1, ["the configuration: a list; allowed: a mapping"])


# --- YAML --------------------------------------------------------------------------------------------------------


def test_unquoted_words_are_text_where_text_is_wanted(tmp_path: Path) -> None:
    text = f"""{HEAD}
docker:
  execution:
    mode: session
    container:
      image: debian:12
      user: 1000
      cmd: [on, 22:22, 1.10, 2001-01-01, 'null', =]
    host: {{restartpolicy: {{name: no}}, init: on, shmsize: 0x400}}
"""
    execution = load(_file(tmp_path, text)).settings.docker.execution
    assert execution.container["User"] == "1000"
    assert execution.container["Cmd"] == ["on", "22:22", "1.10", "2001-01-01", "null", "="]
    assert execution.host == {"RestartPolicy": {"Name": "no"}, "Init": True, "ShmSize": 1024}


def test_anchors_and_merged_keys(tmp_path: Path) -> None:
    text = f"""{HEAD}
docker:
  timeouts: &times {{http: 5s, window: 6s}}
shutdown: &rest
  grace: 1s
record:
  <<: [{{directory: scenarios, commands: full}}]
  commands: hash
"""
    settings = load(_file(tmp_path, text)).settings
    assert (settings.record.directory, settings.record.commands) == (str(tmp_path / "scenarios"), "hash")
    with pytest.raises(SettingsError, match="unknown key"):
        load(_file(tmp_path, f"{text}log: {{<<: *rest, <<: 5}}\n"))


def test_keys_that_are_no_text(tmp_path: Path) -> None:
    status, lines = _said(_file(tmp_path, f"{HEAD}log: {{[a]: b}}\n"))
    assert (status, lines) == (1, ["log: a key that is not text; allowed: text (line 3)"])


# --- names of files ----------------------------------------------------------------------------------------------


def test_names_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    pem, public = HOST_KEY.export_private_key().decode(), HOST_KEY.export_public_key().decode().strip()
    (folder / "keys.pub").write_text(public)
    tree = {
        "ssh": {"hostkeys": [pem]},
        "auth": {"users": {"a": {"authorizedKeys": [public, "keys.pub"]}}},
        "log": {"destination": "file", "file": "/log/x"},
        "record": {"directory": "~/scenarios"},
    }
    _file(folder, msgspec.json.encode(tree), "moorage.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    settings = load(Path("etc/moorage.json")).settings
    assert settings.ssh.hostkeys == (pem,)
    assert settings.auth.users["a"].authorized_keys == (public, str(folder / "keys.pub"))
    assert (settings.log.file, settings.record.directory) == ("/log/x", "/home/someone/scenarios")
    assert settings.state == str(folder / "var")


def test_names_that_are_empty_are_refused_as_such(tmp_path: Path) -> None:
    text = HEAD.replace("host_key", "''") + "log: {file: ''}\nstate: ''\n"
    status, lines = _said(_file(tmp_path, text))
    assert status == 1
    assert [line.split(": ")[0] for line in lines] == ["ssh.hostkeys[0]", "state"]


# --- users in a file of their own --------------------------------------------------------------------------------


def _with_users(folder: Path, users: str, name: str = "more.users", more: str = "") -> Path:
    if name:
        (folder / name).write_text(users)
    head = f"ssh: {{hostkeys: [host_key]}}\nauth:\n  usersFile: {name or 'missing'}\n"
    return _file(folder, head + more)


@pytest.mark.parametrize("name", ["more.users", "more.json"])
def test_users_from_a_file_of_their_own(name: str, tmp_path: Path) -> None:
    users = f'{{"bob": {{"passwordHash": "{HASH}"}}, "eve": {{"authorizedKeys": ["eve.pub"]}}}}'
    (tmp_path / "eve.pub").write_bytes(HOST_KEY.export_public_key())
    path = _with_users(tmp_path, users, name, f"  users: {{alice: {{passwordHash: '{HASH}'}}}}\n")
    auth = load(path).settings.auth
    assert sorted(auth.users) == ["alice", "bob", "eve"]
    assert auth.users["eve"].authorized_keys == (str(tmp_path / "eve.pub"),)


@pytest.mark.parametrize(
    ("users", "name", "words"),
    [
        ("", "", "No such file"),
        ("[a, b]", "more.users", "is not a mapping of user names"),
        ("{", "more.json", "Expecting property name"),
        ("alice: {}", "more.users", "the user 'alice' is in"),
        ("bob: {}\nbob: {}", "more.users", "given twice"),
    ],
)
def test_a_users_file_that_cannot_be_used(users: str, name: str, words: str, tmp_path: Path) -> None:
    status, lines = _said(_with_users(tmp_path, users, name, f"  users: {{alice: {{passwordHash: '{HASH}'}}}}\n"))
    assert status == 1
    assert any(line.startswith("auth.usersFile: ") and words in line for line in lines), lines


def test_what_is_wrong_in_a_users_file_names_the_user(tmp_path: Path) -> None:
    status, lines = _said(_with_users(tmp_path, "bob: {passwordHash: plain}"))
    assert status == 1 and lines[0].startswith("auth.users.bob.passwordHash: not a password hash")


def test_papers_of_a_service_that_cannot_be_read(tmp_path: Path) -> None:
    hook = "{method: webhook, webhook: {url: 'https://h', cacert: missing.pem}}"
    status, lines = _said(_file(tmp_path, f"ssh: {{hostkeys: [host_key]}}\nauth: {{publicKey: {hook}}}\n"))
    assert status == 1
    assert lines[0].startswith("auth.publicKey.webhook: cacert, cert or key cannot be used: No such file")


def test_a_command_wants_an_account_that_exists(tmp_path: Path) -> None:
    text = "ssh: {hostkeys: [host_key]}\nauth: {authorizedKeysCommand: {command: [/bin/true], user: no-such-user}}\n"
    status, lines = _said(_file(tmp_path, text))
    assert status == 1 and "there is no account 'no-such-user'" in lines[0]


# --- what containers may do --------------------------------------------------------------------------------------


def test_hardening_is_recommended_until_the_file_says_something_about_it(tmp_path: Path) -> None:
    base = (CONFIG / "examples" / "session.yaml").read_text()
    assert "hardening" not in base
    for said in ("hardening: engine", "hardening: strict"):
        path = tmp_path / "session.yaml"
        path.write_text(base.replace("  execution:\n", f"  execution:\n    {said}\n", 1))
        status, lines = _said(_with_keys(path, tmp_path))
        assert (status, lines) == (0, ["ok"])


def test_a_link_to_the_folder_of_the_engines_socket_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "innocent").symlink_to(tmp_path / "engine")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine/e.sock")
    path = tmp_path / "session.yaml"
    text = (CONFIG / "examples" / "session.yaml").read_text()
    bind = f"      Binds: ['{tmp_path}/innocent:/i']\n"
    path.write_text(text.replace("      NetworkMode: none\n", f"      NetworkMode: none\n{bind}"))
    status, lines = _said(_with_keys(path, tmp_path))
    assert status == 1
    (line,) = lines
    assert line.startswith(f"docker.execution.host.Binds[0]: {tmp_path}/innocent is or holds the engine's socket; ")
    path.write_text(path.read_text().replace("  execution:\n", "  execution:\n    allowDangerous: [engineSocket]\n", 1))
    assert _said(_with_keys(path, tmp_path))[0] == 0
