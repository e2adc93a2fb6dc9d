"""Revoked keys and certificates: lists as `ssh-keygen -k` makes them, and logins of OpenSSH's client."""

import os
import shutil
import subprocess
from pathlib import Path

import asyncssh
import pytest
import trio

from actors.ssh.auth import check
from actors.ssh.revoked import RevokedKeys, read_revoked, shown_key
from protocol.settings import Settings
from protocol.settings_auth import Auth, User
from tests.actors.ssh.test_factors import NO_KEY
from tests.actors.ssh.test_keys import sign
from tests.actors.ssh.ways import HASH, askpass, new_key, open_ways

pytestmark = [
    pytest.mark.openssh,
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH's ssh-keygen is not installed"),
]


def keygen(*args: object) -> None:
    subprocess.run(["ssh-keygen", "-q", *map(str, args)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of three types, two authorities, and certificates with serial numbers and names."""
    home = tmp_path_factory.mktemp("keys")
    for name, kind in (("ca", "ed25519"), ("ca2", "rsa"), ("k1", "ed25519"), ("k2", "rsa"), ("k3", "ecdsa")):
        keygen("-t", kind, "-N", "", "-f", home / name, "-C", name)
    number = 0
    for authority in ("ca", "ca2"):
        for serial in (0, 1, 5, 6, 7, 70, 2**63):
            number += 1
            shutil.copy(home / "k1.pub", home / f"c{number}.pub")
            keygen("-s", home / authority, "-I", f"id {serial}", "-z", serial, "-n", "ann", home / f"c{number}.pub")
    return home


# The authority that it speaks of, and what it revokes.
SPECS = {
    "serials": ("ca", "serial: 1\nserial: 6-70\n"),
    "sparse": ("ca", "serial: 5\nserial: 7\nserial: 9223372036854775808\n"),
    "ids": ("ca", "id: id 7\nid: id 0\n"),
    "any": ("none", "id: id 5\n"),
    "key": ("", "key: {k2}\n"),
    "sha1": ("", "sha1: {k3}\n"),
    "sha256": ("", "sha256: {k1}\n"),
    "authority": ("", "key: {ca2}\n"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("spec", SPECS)
def test_a_list_says_the_same_as_ssh_keygen_does(spec: str, home: Path, tmp_path: Path) -> None:
    authority, text = SPECS[spec]
    names = {name: (home / f"{name}.pub").read_text().strip() for name in ("k1", "k2", "k3", "ca2")}
    (tmp_path / "spec").write_text(text.format(**names))
    of = ("-s", authority if authority == "none" else home / f"{authority}.pub") if authority else ()
    keygen("-k", *of, "-f", tmp_path / "krl", tmp_path / "spec")
    revoked = read_revoked(tmp_path / "krl")
    count = 0
    for path in sorted(home.glob("*.pub")):
        done = subprocess.run(["ssh-keygen", "-Q", "-f", tmp_path / "krl", path], capture_output=True, check=False)
        if path.name.endswith("-cert.pub"):
            certificate = asyncssh.read_certificate(path)
            shown = shown_key(certificate.key, certificate)  # type: ignore[arg-type]
        else:
            shown = shown_key(asyncssh.read_public_key(path))
        assert bool(revoked.why(shown)) == (done.returncode == 1), path.name
        count += done.returncode == 1
    assert bool(count) == (spec != "nothing")


def test_a_list_of_public_keys_one_a_line(home: Path, tmp_path: Path) -> None:
    lines = [
        "# stolen",
        "",
        (home / "k2.pub").read_text(),
        (home / "c1-cert.pub").read_text(),
        (home / "ca2.pub").read_text(),
    ]
    (tmp_path / "list").write_text("\n".join(lines))
    revoked = read_revoked(tmp_path / "list")
    why = {name: revoked.why(shown_key(asyncssh.read_public_key(home / f"{name}.pub"))) for name in ("k1", "k2", "k3")}
    assert why == {"k1": "its key is revoked", "k2": "its key is revoked", "k3": ""}
    certificate = asyncssh.read_certificate(home / "c9-cert.pub")
    (tmp_path / "list").write_text((home / "ca2.pub").read_text())
    assert (
        RevokedKeys(str(tmp_path / "list")).why(shown_key(certificate.key, certificate)) == "its authority is revoked"
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"ssh-ed25519 AAAA-nonsense\n", "line 1 is no public key"),
        (b"\n# x\nrubbish\n", "line 3 is no public key"),
        (b"\xff\xfe", "decode"),
        (b"SSHKRL\n\0\0", "cut short"),
        (None, "No such file"),
    ],
)
def test_what_cannot_be_read_is_told_by_the_check(data: bytes | None, why: str, tmp_path: Path) -> None:
    path = tmp_path / "list"
    if data is not None:
        path.write_bytes(data)
    ((key, sentence),) = check(Settings(auth=Auth(revoked_keys=str(path))))
    assert key == "auth.revokedKeys" and why in sentence and str(path) in sentence


@pytest.mark.trio
async def test_a_key_that_is_revoked_is_refused_from_the_next_login_on(tmp_path: Path) -> None:
    """No reload is needed; and the user's other key and password go on."""
    key, other = await new_key(tmp_path), await new_key(tmp_path, "other")
    path = tmp_path / "revoked"
    path.write_text("")
    users = {"alice": User(authorized_keys=(key, other), password_hash=HASH)}
    async with open_ways(tmp_path, Auth(users=users, revoked_keys=str(path))) as ways:
        assert (await ways.log_in()).is_in
        path.write_text(key + "\n")
        outcome = await ways.log_in()
        assert not outcome.is_in and outcome.whys[0].endswith("its key is revoked")
        assert (await ways.log_in("-i", str(tmp_path / "other"))).is_in
        assert (await ways.log_in(*NO_KEY, env=askpass(tmp_path))).is_in


@pytest.mark.trio
async def test_a_certificate_that_is_revoked(tmp_path: Path) -> None:
    """By its number: one with another number lets the same key in."""
    await new_key(tmp_path)
    await new_key(tmp_path, "ca")
    path = tmp_path / "krl"
    (tmp_path / "spec").write_text("serial: 7\n")
    await trio.to_thread.run_sync(keygen, "-k", "-s", tmp_path / "ca.pub", "-f", path, tmp_path / "spec")
    auth = Auth(trusted_user_ca_keys=(str(tmp_path / "ca.pub"),), revoked_keys=str(path))
    async with open_ways(tmp_path, auth) as ways:
        for serial, is_in in (("7", False), ("8", True)):
            await sign(tmp_path, "-n", "alice", "-z", serial)
            outcome = await ways.log_in()
            assert outcome.is_in is is_in
            assert is_in or any(why.endswith("its certificate is revoked") for why in outcome.whys)


@pytest.mark.trio
@pytest.mark.parametrize("how", ["gone", "rubbish", "hangs"])
async def test_while_it_cannot_be_read_no_key_lets_anybody_in(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.auth.REVOKED_S", 0.5)
    key = await new_key(tmp_path)
    path = tmp_path / "revoked"
    if how == "hangs":
        os.mkfifo(path)
    elif how == "rubbish":
        path.write_text("rubbish")
    users = {"alice": User(authorized_keys=(key,), password_hash=HASH)}
    async with open_ways(tmp_path, Auth(users=users, revoked_keys=str(path))) as ways:
        outcome = await ways.log_in()
        assert not outcome.is_in
        assert outcome.whys[0].endswith("no key is accepted while the list of revoked ones cannot be read")
        assert "MOORAGE_REVOKED_KEYS_UNREADABLE" in ways.codes()
        assert (await ways.log_in(*NO_KEY, env=askpass(tmp_path))).is_in
        if how == "hangs":
            with path.open("wb"):  # let the threads go
                pass
        path.unlink(missing_ok=True)
        path.write_text("")
        assert (await ways.log_in()).is_in
