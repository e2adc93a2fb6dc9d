"""What the first run leaves behind, and the ssh line that has to work as it is printed."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from moorage.config import load
from moorage.first_run import as_text, prepare, ssh_line
from protocol.settings import GUEST_IMAGE


def test_the_configuration_is_usable_and_complete(tmp_path: Path) -> None:
    berth = prepare(tmp_path / "var", GUEST_IMAGE)
    reading = load(berth.config)
    assert reading.warnings == ()
    settings = reading.settings
    assert settings.ssh.listen == "127.0.0.1:2222"
    assert settings.ssh.hostkeys == (str(berth.folder / "ssh_host_ed25519_key"),)
    assert settings.auth.users["demo"].authorized_keys == (str(berth.folder / "demo_key.pub"),)
    assert settings.auth.users["demo"].password_hash == ""
    assert settings.docker.execution.container["Image"] == GUEST_IMAGE
    assert Path(settings.state) == berth.folder


def test_secrets_are_ours_alone(tmp_path: Path) -> None:
    berth = prepare(tmp_path / "var", GUEST_IMAGE)
    modes = {path.name: path.stat().st_mode & 0o777 for path in berth.folder.iterdir()}
    assert berth.folder.stat().st_mode & 0o777 == 0o700
    assert modes["demo_key"] == modes["ssh_host_ed25519_key"] == modes["moorage.yaml"] == 0o600
    other = prepare(tmp_path / "other", GUEST_IMAGE)
    assert berth.demo_key.read_bytes() != other.demo_key.read_bytes()


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "var", GUEST_IMAGE).folder
    before = {path: path.read_bytes() for path in folder.iterdir()}
    prepare(folder, GUEST_IMAGE)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "demo_key").unlink()  # the user's will, since the configuration is there
    prepare(folder, GUEST_IMAGE)
    assert not (folder / "demo_key").exists()


def test_keys_that_are_there_are_kept(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "var", GUEST_IMAGE).folder
    key = (folder / "ssh_host_ed25519_key").read_bytes()
    (folder / "moorage.yaml").unlink()
    (folder / "demo_key").unlink()
    prepare(folder, GUEST_IMAGE)
    assert (folder / "ssh_host_ed25519_key").read_bytes() == key
    private = serialization.load_ssh_private_key((folder / "demo_key").read_bytes(), None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert (folder / "demo_key.pub").read_bytes().startswith(public), "the pair belongs together"


@pytest.mark.parametrize(
    ("address", "place", "host"),
    [
        (("127.0.0.1", 2222), "[127.0.0.1]:2222", "127.0.0.1"),
        (("0.0.0.0", 22), "127.0.0.1", "127.0.0.1"),
        (("::", 2222), "[::1]:2222", "::1"),
    ],
)
def test_known_hosts(tmp_path: Path, address: tuple[str, int], place: str, host: str) -> None:
    berth = prepare(tmp_path / "var", GUEST_IMAGE)
    line = ssh_line(berth, address, load(berth.config).settings.ssh.hostkeys, "id -u")
    public = (berth.folder / "ssh_host_ed25519_key.pub").read_text().split()
    assert berth.known_hosts.read_text() == f"{place} {public[0]} {public[1]}\n"
    assert line[-2:] == [f"demo@{host}", "id -u"]
    assert as_text(line).endswith(f"demo@{host} 'id -u'")


def test_the_line_is_short_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_text(ssh_line(prepare(Path("var"), GUEST_IMAGE), ("127.0.0.1", 2222))) == (
        "ssh -i var/demo_key -p 2222 -o IdentitiesOnly=yes -o UserKnownHostsFile=var/known_hosts demo@127.0.0.1"
    )


def test_a_host_key_that_cannot_be_read_is_left_to_ssh(tmp_path: Path) -> None:
    berth = prepare(tmp_path / "var", GUEST_IMAGE)
    ssh_line(berth, ("127.0.0.1", 2222), [str(tmp_path / "none"), "-----BEGIN NONSENSE-----"])
    assert berth.known_hosts.read_text() == ""


@pytest.mark.openssh
def test_openssh_takes_the_line(tmp_path: Path) -> None:
    """`ssh -G` reads options without connecting: names with spaces and percent signs arrive as they are."""
    if shutil.which("ssh") is None:
        from tests.fixtures_engine import missing

        missing("no OpenSSH client (Debian: openssh-client)")
    berth = prepare(tmp_path / "my 100% var", GUEST_IMAGE)
    line = ssh_line(berth, ("127.0.0.1", 2222))
    said = subprocess.run([line[0], "-G", *line[1:]], capture_output=True, text=True, check=True).stdout.splitlines()
    assert "port 2222" in said and "user demo" in said and "identitiesonly yes" in said
    assert f"identityfile {berth.demo_key}" in said
    assert f"userknownhostsfile {berth.known_hosts}" in said
