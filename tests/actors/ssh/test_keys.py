"""Keys with options and certificates, made by ssh-keygen and shown by OpenSSH's client."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
import trio

from actors.login import Rights
from protocol.session import PtyWanted
from protocol.settings_auth import Auth, KeysCommand, User
from tests.actors.ssh.ways import Ways, new_key, open_ways
from tests.actors.test_command import script

pytestmark = [
    pytest.mark.trio,
    pytest.mark.openssh,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's ssh is not installed"),
]
TERMINALS = [("no-pty", False), ("restrict", False), ("restrict,pty", True), ("", True)]
FUTURE, PAST = "20991231", "20200101"


@asynccontextmanager
async def with_line(home: Path, options: str) -> AsyncIterator[Ways]:
    """alice's key with these options in front."""
    line = f"{options} {await new_key(home)}".strip()
    async with open_ways(home, Auth(users={"alice": User(authorized_keys=(line,))})) as ways:
        yield ways


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("", ""),
        ('from="127.0.0.0/8"', ""),
        ('from="10.0.0.0/8,127.0.0.?"', ""),
        (f'expiry-time="{FUTURE}"', ""),
        (f'expiry-time="{FUTURE}2359Z"', ""),
        ("restrict", ""),
        ('from="10.0.0.0/8"', "it may not come from this address (from)"),
        ('from="127.0.0.0/8,!127.0.0.1"', "it may not come from this address (from)"),
        (f'expiry-time="{PAST}"', "its line has expired (expiry-time)"),
        ("cert-authority", "it is not one of this user's"),
        ("no-such-option", "it is not one of this user's"),
    ],
)
async def test_conditions_of_a_line(options: str, why: str, tmp_path: Path) -> None:
    async with with_line(tmp_path, options) as ways:
        outcome = await ways.log_in()
        assert outcome.is_in == (not why)
        if why:
            assert all(told.endswith(why) for told in outcome.whys) and outcome.whys


async def test_a_forced_command_and_variables(tmp_path: Path) -> None:
    options = r'command="printf \"a\n\"; id",environment="A=b",environment="SSH_ORIGINAL_COMMAND=z"'
    async with with_line(tmp_path, options) as ways:
        outcome = await ways.log_in("-o", "SetEnv=A=client B=client")
        assert outcome.stdout == rb'printf "a\n"; id'
        env = ways.host.supervisor.sessions[0].vault.env
        assert env == {"A": "b", "B": "client", "SSH_ORIGINAL_COMMAND": "x"}


@pytest.mark.parametrize(
    ("options", "pty"), [("no-pty", False), ("restrict", False), ("restrict,pty", True), ("", True)]
)
async def test_terminals(options: str, pty: bool, tmp_path: Path) -> None:
    async with with_line(tmp_path, options) as ways:
        await ways.log_in("-tt")
        assert bool(ways.host.supervisor.sessions[0].all(PtyWanted)) is pty


async def test_an_empty_command_is_forced_too(tmp_path: Path) -> None:
    async with with_line(tmp_path, 'command=""') as ways:
        assert (await ways.log_in()).stdout == b"shell"  # nothing, and not what the client asked for
        assert ways.host.supervisor.sessions[0].vault.command == b""


async def test_the_first_line_whose_conditions_are_met_decides(tmp_path: Path) -> None:
    key = await new_key(tmp_path)
    lines = (f'from="10.0.0.1",command="one" {key}', f'command="two" {key}', f'command="three" {key}')
    async with open_ways(tmp_path, Auth(users={"alice": User(authorized_keys=lines)})) as ways:
        assert (await ways.log_in()).stdout == b"two"


# --- certificates ------------------------------------------------------------------------------------------------


async def sign(home: Path, *args: str, ca: str = "ca") -> None:
    """`id-cert.pub` beside `id`, which the client shows by itself."""
    await trio.run_process(["ssh-keygen", "-q", "-s", str(home / ca), "-I", "test", *args, str(home / "id.pub")])


@asynccontextmanager
async def with_authority(home: Path, options: str = "") -> AsyncIterator[Ways]:
    """Trusted for everybody, or, with options, in a line of alice's."""
    await new_key(home)
    line = await new_key(home, "ca")
    auth = Auth(users={"alice": User(authorized_keys=(f"{options} {line}",))}) if options else Auth()
    async with open_ways(home, auth if options else Auth(trusted_user_ca_keys=(str(home / "ca.pub"),))) as ways:
        yield ways


@pytest.mark.parametrize("options", ["", "cert-authority"])
@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("-n", "alice"), ""),
        (("-n", "bob,alice", "-V", "-1h:+1h"), ""),
        (("-n", "alice", "-O", "source-address=127.0.0.0/8"), ""),
        (("-n", "bob"), "no principal that is wanted"),
        ((), "no principal that is wanted"),
        (("-n", "alice", "-V", "-2h:-1h"), "Certificate expired"),
        (("-n", "alice", "-V", "+1h:+2h"), "not yet valid"),
        (("-n", "alice", "-O", "source-address=10.0.0.0/8"), "source-address"),
        (("-n", "alice", "-h"), "type"),
        (("-n", "alice", "-O", "critical:x@example.com=1"), "cannot be"),
    ],
)
async def test_certificates(options: str, args: tuple[str, ...], why: str, tmp_path: Path) -> None:
    async with with_authority(tmp_path, options) as ways:
        await sign(tmp_path, *args)
        outcome = await ways.log_in()
        assert outcome.is_in == (not why), outcome.whys
        if why and "-h" not in args:  # OpenSSH's client shows no host certificate
            assert any(why in told or "(unreadable)" in told for told in outcome.whys)
        if not why:
            assert outcome.login.by.startswith("SHA256:")


async def test_an_authority_that_is_not_trusted(tmp_path: Path) -> None:
    async with with_authority(tmp_path) as ways:
        await new_key(tmp_path, "other")
        await sign(tmp_path, "-n", "alice", ca="other")
        assert any("no authority that is trusted" in why for why in (await ways.log_in()).whys)


async def test_an_authority_of_alices_is_not_bobs(tmp_path: Path) -> None:
    async with with_authority(tmp_path, "cert-authority") as ways:
        await sign(tmp_path, "-n", "alice,bob")
        assert (await ways.log_in()).is_in
        assert not (await ways.log_in(user="bob")).is_in


async def test_principals_of_the_line_replace_the_user_name(tmp_path: Path) -> None:
    async with with_authority(tmp_path, 'cert-authority,principals="staff,ops"') as ways:
        await sign(tmp_path, "-n", "ops")
        assert (await ways.log_in()).is_in
        await sign(tmp_path, "-n", "alice")
        assert not (await ways.log_in()).is_in


async def test_what_a_certificate_insists_on_and_leaves_out(tmp_path: Path) -> None:
    async with with_authority(tmp_path) as ways:
        await sign(tmp_path, "-n", "alice", "-O", "force-command=only this", "-O", "no-pty")
        assert (await ways.log_in()).stdout == b"only this"
        await ways.log_in("-tt")
        assert not ways.host.supervisor.sessions[1].all(PtyWanted)
        await sign(tmp_path, "-n", "alice")
        await ways.log_in("-tt")
        assert ways.host.supervisor.sessions[2].all(PtyWanted)
        await sign(tmp_path, "-n", "alice", "-O", "clear")
        await ways.log_in()
        assert _rights(ways) == Rights(pty=False, port_forwarding=False, agent_forwarding=False, x11_forwarding=False)


async def test_two_commands_cannot_both_be_kept_to(tmp_path: Path) -> None:
    async with with_authority(tmp_path, 'cert-authority,command="one"') as ways:
        await sign(tmp_path, "-n", "alice", "-O", "force-command=two")
        assert any("different commands" in why for why in (await ways.log_in()).whys)
        await sign(tmp_path, "-n", "alice", "-O", "force-command=one")
        assert (await ways.log_in()).stdout == b"one"


async def test_a_plain_key_of_an_authority_is_no_way_in(tmp_path: Path) -> None:
    async with with_authority(tmp_path, "cert-authority") as ways:
        assert not (await ways.log_in("-o", "IdentityFile=none", "-i", str(tmp_path / "ca"))).is_in


def _rights(ways: Ways) -> Rights:
    return ways.host.supervisor.logins[-1].grant.rights


# --- a command that knows keys -----------------------------------------------------------------------------------


def keys_command(home: Path, text: str) -> Auth:
    user = "nobody" if os.geteuid() == 0 else ""
    return Auth(authorized_keys_command=KeysCommand(command=(script(home, text), "%u", "%t %k", "%f"), user=user))


async def test_a_command_is_asked_for_keys(tmp_path: Path) -> None:
    line = await new_key(tmp_path)
    text = f'[ "$1" = alice ] && echo \'command="forced" {line}\''
    async with open_ways(tmp_path, keys_command(tmp_path, text)) as ways:
        assert (await ways.log_in()).stdout == b"forced"
        outcome = await ways.log_in(user="bob")
        assert not outcome.is_in and outcome.whys[0].endswith("it is not one of this user's")
        assert "SSH_AUTH_UNAVAILABLE" not in ways.codes()


async def test_it_is_told_who_comes_with_what_and_asked_once(tmp_path: Path) -> None:
    line = await new_key(tmp_path)
    heard = tmp_path / "heard"
    heard.touch(0o666)
    heard.chmod(0o666)
    text = f"printf '%s|%s|%s\\n' \"$@\" >> {heard}; echo '{line}'"
    async with open_ways(tmp_path, keys_command(tmp_path, text)) as ways:
        login = (await ways.log_in()).login
        kind_and_key = " ".join(line.split()[:2])
        assert _read(heard) == f"alice|{kind_and_key}|{login.by}\n"


async def test_a_name_like_an_option_reaches_no_command(tmp_path: Path) -> None:
    line = await new_key(tmp_path)
    async with open_ways(tmp_path, keys_command(tmp_path, f"echo '{line}'")) as ways:
        with pytest.raises(asyncssh.PermissionDenied):
            async with ways.host.client(username="-x", client_keys=[str(tmp_path / "id")]):
                pass
        async with ways.host.client(username="x", client_keys=[str(tmp_path / "id")]):
            pass


async def test_a_command_that_cannot_be_run_is_nobodys_fault(tmp_path: Path) -> None:
    await new_key(tmp_path)
    auth = keys_command(tmp_path, "exit 0")
    (tmp_path / "keys-of").unlink()
    async with open_ways(tmp_path, auth) as ways:
        assert not (await ways.log_in()).is_in
        assert {"AUTH_BACKEND_ERROR", "SSH_AUTH_UNAVAILABLE"} <= ways.codes()


def _read(path: Path) -> str:
    return path.read_text()
