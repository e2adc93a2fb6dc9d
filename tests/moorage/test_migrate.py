"""`moorage migrate`: what comes out is usable, does what the old file did, and tells each change."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from moorage.cli import main
from moorage.config import HARDENING, check_config, load
from moorage.migrate import Cannot, migrate, migrated
from protocol.settings import Settings
from protocol.settings_dockerrun import DockerRun
from tests.moorage.test_config import CONFIG, _with_keys

OLD = ("containerssh-0.3.yaml", "containerssh-0.3-dump.yaml")
HEAD = "ssh: {hostkeys: [ssh_host_ed25519_key]}\nauth: {users: {ci: {authorizedKeys: [ci.pub]}}}\n"


def old_file(folder: Path, text: str) -> Path:
    path = folder / "old.yaml"
    path.write_text(text)
    return _with_keys(path, folder)


def new_file(old: Path) -> Path:
    """What `moorage migrate OLD > NEW` leaves behind; it must be usable."""
    out, err = io.StringIO(), io.StringIO()
    assert migrate(old, out, err) == 0, err.getvalue()
    assert err.getvalue() == ""
    new = old.with_name("new.yaml")
    new.write_text(out.getvalue())
    return new


def without_marks(settings: Settings) -> Settings:
    """The same without the keys that say which form the file has."""
    return replace(settings, backend="docker", dockerrun=DockerRun(), listen="", security=Settings().security)


@pytest.mark.parametrize("name", OLD)
def test_the_examples_of_old_layouts(name: str, tmp_path: Path) -> None:
    old = _with_keys(CONFIG / "examples" / name, tmp_path)
    new = new_file(old)
    out = io.StringIO()
    assert check_config(new, out) == 0
    assert out.getvalue().splitlines() == [f"recommended: {HARDENING}", "ok"]  # without a remark
    assert without_marks(load(new).settings) == without_marks(load(old).settings)


def test_it_says_what_it_did_and_keeps_the_comments(tmp_path: Path) -> None:
    text = new_file(_with_keys(CONFIG / "examples" / OLD[0], tmp_path)).read_text()
    for kept in ("# Where to listen.", "# made by ssh-keygen", "# The engine is on this host.", "# What users land in.",
                 "# with a shell", "# Small machines, small containers.", "# shells only"):  # fmt: skip
        assert text.count(kept) == 1, kept
    told = [line.strip().removeprefix("# migrated: ") for line in text.splitlines() if "# migrated:" in line]
    for words in ("Stood at the root of the file", "Was dockerrun, deprecated", "three parts", "root of dockerrun",
                  "Was dockerrun.config.", "a container for each session", "pulled the image each time", "own CMD",
                  "guest agent", "one for all", "disableCommand"):  # fmt: skip
        assert any(words in line for line in told), words
    assert "containerStart: 60s" in text and "was 60000000000" in text


def test_disabled_commands_become_a_policy(tmp_path: Path) -> None:
    for disabled, mode in (("true", "disable"), ("yes", "disable"), ("false", "")):
        old = old_file(tmp_path, f"{HEAD}dockerrun: {{config: {{disableCommand: {disabled}}}}}\n")
        assert load(new_file(old)).settings.security.command.mode == mode


def test_a_policy_that_is_there_is_added_to(tmp_path: Path) -> None:
    policy = "security:\n  maxSessions: 3\n  command: {allow: [x]}\n"
    text = f"{HEAD}{policy}dockerrun: {{config: {{disableCommand: true}}}}\n"
    security = load(new_file(old_file(tmp_path, text))).settings.security
    assert (security.max_sessions, security.command.mode, security.command.allow) == (3, "disable", ("x",))


@pytest.mark.parametrize(
    "old",
    [
        "dockerrun: {config: {timeout: 5s}}",
        "dockerrun: {config: {container: {env: [A=b]}, host: {memory: 1}}, host: 'tcp://h:1'}",
        "backend: dockerrun",
        "backend: dockerrun\ndockerrun:\n",
        "backend: dockerrun\ndocker: {execution: {mode: session}}",
        "backend: docker\ndockerrun: {host: 'tcp://h:1'}",
        "dockerrun:",
        "dockerrun: {config: {container: }}",
        "listen: 127.0.0.1:2222",
        "listen: ''",
        "docker: {timeouts: {http: 15000000000, window: 0}}",
        "docker: {execution: {container: {Image: x}}}",
        "log: {level: debug}",
    ],
)
def test_what_the_old_file_did_the_new_one_does(old: str, tmp_path: Path) -> None:
    path = old_file(tmp_path, f"{HEAD}{old}\n")
    before, after = load(path).settings, load(new_file(path))
    assert after.warnings == ()
    assert without_marks(after.settings) == without_marks(before)


def test_an_image_that_was_left_out_is_written_down(tmp_path: Path) -> None:
    path = old_file(tmp_path, f"{HEAD}docker:\n  execution:\n    container:\n      user: '1'\n")
    new = new_file(path)
    assert load(new).settings.docker.execution.container["Image"] == "containerssh/containerssh-guest-image"
    assert "# migrated: ContainerSSH's default" in new.read_text()


def test_an_address_that_the_new_key_overrides(tmp_path: Path) -> None:
    path = old_file(tmp_path, "listen: 1.2.3.4:5\n" + HEAD.replace("ssh: {", "ssh: {listen: '127.0.0.1:22', "))
    text = new_file(path).read_text()
    assert "1.2.3.4" not in text and "listen was taken out" in text


def test_the_old_keys_of_the_web_service(tmp_path: Path) -> None:
    auth = "auth:\n  url: http://localhost\n  timeout: 2s  # short\n  password: true\n  pubkey: true\n  cacert: ''\n"
    text = migrated((HEAD.splitlines()[0] + "\n" + auth).encode(), "x")
    assert "# migrated: Was auth.password" in text and "# migrated: Was auth.pubkey" in text
    assert text.count("method: webhook") == 2 and text.count("url: http://localhost") == 2
    assert text.count("timeout: 2s") == 2 and "cacert" not in text and "# short" in text
    off = migrated(b"auth: {url: '', password: true, pubkey: false}", "x")
    assert "webhook" not in off and "users: {}" in off


@pytest.mark.parametrize("backend", ["kuberun", "kubernetes", "sshproxy"])
def test_other_backends_cannot_be_migrated(backend: str) -> None:
    with pytest.raises(Cannot, match="Moorage has no"):
        migrated(f"backend: {backend}".encode(), "x")


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: *b", "\xff\xfe"])
def test_what_is_no_configuration(text: str, tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_bytes(text.encode("latin-1"))
    out, err = io.StringIO(), io.StringIO()
    assert migrate(path, out, err) == 2
    assert out.getvalue() == "" and err.getvalue().startswith("moorage: ")
    assert migrate(tmp_path / "none.yaml", out, err) == 2


def test_what_is_left_to_do_is_told(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text("dockerrun: {hots: x}\n")
    out, err = io.StringIO(), io.StringIO()
    assert migrate(path, out, err) == 1
    assert "to be done: ssh.hostkeys" in err.getvalue() and "mode: session" in out.getvalue()


def test_the_command(tmp_path: Path) -> None:
    path = _with_keys(CONFIG / "examples" / OLD[0], tmp_path)
    done = CliRunner().invoke(main, ["migrate", str(path)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == migrated(path.read_bytes(), "x")
