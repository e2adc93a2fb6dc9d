"""What is checked at start: host keys, users' keys, algorithms; and the pure answers of requests.py and text.py."""

from pathlib import Path

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.ssh import auth, keys, options, requests
from actors.ssh.text import escaped
from protocol.base import Size
from protocol.settings import Auth, Settings, Ssh, User
from tests.actors.ssh.host import USER_KEY, open_host, say, settings

LINE = USER_KEY.export_public_key().decode().strip()


def pem(algorithm: str, **kwargs: object) -> str:
    return asyncssh.generate_private_key(algorithm, **kwargs).export_private_key().decode()


@pytest.mark.trio
@pytest.mark.parametrize(
    "algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"]
)
async def test_host_keys_of_every_type_as_text_and_as_file(algorithm: str, tmp_path: Path) -> None:
    text = pem(algorithm)
    (tmp_path / "key").write_text(text)
    for hostkey in (text, str(tmp_path / "key")):
        config = settings(hostkeys=(hostkey,))
        assert keys.check(config) == []
        async with open_host(config, script=say) as host, host.client() as client:
            assert client.conn.get_server_host_key().get_algorithm() == algorithm


@pytest.mark.trio
async def test_a_certificate_beside_the_key_is_shown(tmp_path: Path) -> None:
    authority, key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(tmp_path / "key"))
    certificate = authority.generate_host_certificate(key, "moorage", principals=["127.0.0.1"])
    certificate.write_certificate(str(tmp_path / "key-cert.pub"))
    known = ([], [authority.convert_to_public()], [])
    config = settings(hostkeys=(str(tmp_path / "key"),))
    async with open_host(config, script=say) as host, host.client(known_hosts=known) as client:
        assert (await client.run("x")).exit_status == 7


def test_what_is_wrong_with_a_host_key_is_said(tmp_path: Path) -> None:
    secret = asyncssh.generate_private_key("ssh-ed25519").export_private_key(passphrase="x").decode()
    (tmp_path / "junk").write_text("not a key")
    good = pem("ssh-ed25519")
    config = Settings(
        ssh=Ssh(hostkeys=(good, "/no/such", str(tmp_path / "junk"), secret, pem("ssh-ed25519"), "-----BEGIN", "x", ""))
    )
    found = dict(keys.check(config))
    assert "No such file" in found["ssh.hostkeys[1]"]
    assert "is not a private key" in found["ssh.hostkeys[2]"]
    assert "has a passphrase" in found["ssh.hostkeys[3]"]
    assert found["ssh.hostkeys[4]"].startswith("it is a second ssh-ed25519 key (the first is ssh.hostkeys[0])")
    assert "the text is not a private key" in found["ssh.hostkeys[5]"]
    assert list(found) == [f"ssh.hostkeys[{place}]" for place in range(1, 8)]
    assert keys.check(Settings())[0][0] == "ssh.hostkeys"
    with pytest.raises(keys.BadKey, match=r"ssh\.hostkeys\[1\]: the file '/no/such' cannot be read"):
        keys.load_host_keys(config.ssh.hostkeys)


def test_weak_host_keys_are_refused() -> None:
    config = Settings(ssh=Ssh(hostkeys=(pem("ssh-rsa", key_size=1024),)))
    assert keys.check(config) == [("ssh.hostkeys[0]", "it is an RSA key of 1024 bits; clients want at least 2048")]


def test_algorithms_are_checked_by_name() -> None:
    wrong = Ssh(
        listen="nowhere",
        server_version="OpenSSH",
        ciphers=("aes128-gcm", "aes128-ctr"),
        kex=("curve25519-sha265",),
        macs=("nonsense",),
        client_alive_count_max=0,
        client_alive_interval=-1,
        max_auth_tries=0,
        max_startups=0,
    )
    found = dict(options.check(wrong))
    assert "the nearest is aes128-gcm@openssh.com; allowed are " in found["ssh.ciphers[0]"]
    assert "the nearest is curve25519-sha256; " in found["ssh.kex[0]"]
    assert "hmac-sha2-256" in found["ssh.macs[0]"] and "nearest" not in found["ssh.macs[0]"]
    assert list(found) == [
        "ssh.listen",
        "ssh.serverVersion",
        "ssh.ciphers[0]",
        "ssh.kex[0]",
        "ssh.macs[0]",
        "ssh.clientAliveCountMax",
        "ssh.maxAuthTries",
        "ssh.maxStartups",
        "ssh.clientAliveInterval",
    ]
    assert options.check(Ssh()) == []


@pytest.mark.parametrize(
    "version", ["SSH-2.0-", "SSH-1.99-x", "SSH-2.0-a-b", "SSH-2.0-a\nb", "SSH-2.0-é", "SSH-2.0-" + "x" * 250]
)
def test_version_strings_that_break_the_protocol(version: str) -> None:
    assert [path for path, _ in options.check(Ssh(server_version=version))] == ["ssh.serverVersion"]


def test_a_version_may_have_a_comment() -> None:
    assert options.check(Ssh(server_version="SSH-2.0-Moorage_1 a-comment")) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:22", ("0.0.0.0", 22)),
        (":2222", (None, 2222)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_listen_addresses(text: str, address: tuple[str | None, int]) -> None:
    assert options.listen_address(text) == address


@pytest.mark.parametrize("text", ["", "22", "::1:22", "host:", "host:port", "host:65536", "host:²"])
def test_listen_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
        options.listen_address(text)


@pytest.mark.trio
async def test_the_defaults_offer_aes_gcm_and_a_post_quantum_exchange_first() -> None:
    async with open_host(script=say) as host, host.client() as client:
        kexinit = client.conn._server_kexinit
        assert b"mlkem768x25519-sha256,curve25519-sha256," in kexinit
        assert b"aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com" in kexinit
        assert b"zlib" not in kexinit
        assert (await client.run("x")).stdout == b"x"


@pytest.mark.trio
async def test_configured_algorithms_are_the_ones_used() -> None:
    config = settings(ciphers=("aes256-ctr",), kex=("ecdh-sha2-nistp256",), macs=("hmac-sha2-512",))
    async with open_host(config, script=say) as host, host.client() as client:
        assert client.conn.get_extra_info("send_cipher") == "aes256-ctr"
        assert client.conn.get_extra_info("send_mac") == "hmac-sha2-512"
        with pytest.raises(asyncssh.KeyExchangeFailed):
            async with host.client(encryption_algs=["aes128-gcm@openssh.com"]):
                pass


@pytest.mark.trio
@pytest.mark.parametrize("as_file", [False, True])
async def test_authorized_keys_as_lines_and_as_files(as_file: bool, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    text = f"# a comment\n\n{other}{LINE}\n"
    (tmp_path / "keys").write_text(text)
    alice = User(authorized_keys=(str(tmp_path / "keys") if as_file else text,))
    config = replace(settings(), auth=Auth(users={"alice": alice}))
    assert auth.check(config) == []
    async with open_host(config, script=say) as host, host.client() as client:
        assert (await client.run("x")).stdout == b"x"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("/no/such/file", "is neither a public key nor a file that can be read: No such file or directory"),
        ("ssh-ed25519 AAAAjunk", "this is not a public key line"),
        ("verify-required KEY", "the option 'verify-required' is not kept to here"),
        ("from=10.0.0.1 KEY", "an option's value stands in double quotes"),
        ('environment="1A=b" KEY', "environment= wants NAME=value"),
        ('expiry-time="20261332" KEY', "expiry-time= wants YYYYMMDD"),
        ("KEY\nwhat AAAA?", "line 2: this is not a public key line"),
        ("# nobody AAAA", "holds no key"),
    ],
)
def test_key_entries_that_would_not_do_what_they_say(entry: str, sentence: str) -> None:
    """`KEY` is a key of this run: a test's name is the same in every run."""
    config = Settings(auth=Auth(users={"alice": User(authorized_keys=(LINE, entry.replace("KEY", LINE)))}))
    ((path, told),) = auth.check(config)
    assert path == "auth.users.alice.authorizedKeys[1]"
    assert sentence in told


def test_key_options_that_are_kept_to_are_fine() -> None:
    entry = f'restrict,pty,from="10.0.0.0/8",command="x",no-port-forwarding {LINE}'
    assert auth.check(Settings(auth=Auth(users={"alice": User(authorized_keys=(entry,))}))) == []


@pytest.mark.trio
async def test_a_key_from_elsewhere_is_not_let_in() -> None:
    alice = User(authorized_keys=(f'from="10.1.2.3" {LINE}',))
    config = replace(settings(), auth=Auth(users={"alice": alice}))
    async with open_host(config) as host:
        with pytest.raises(asyncssh.PermissionDenied):
            async with host.client():
                pass


@pytest.mark.trio
async def test_a_users_certificate_of_a_trusted_authority_logs_in() -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    line = "cert-authority " + authority.export_public_key().decode()
    config = replace(settings(), auth=Auth(users={"alice": User(authorized_keys=(line,))}))
    good = authority.generate_user_certificate(USER_KEY, "alice's", principals=["alice"])
    bad = authority.generate_user_certificate(USER_KEY, "bob's", principals=["bob"])
    async with open_host(config, script=say) as host:
        async with host.client(client_keys=[(USER_KEY, good)]):
            event = host.supervisor.connections[0].events[-1]
            assert event.by == USER_KEY.get_fingerprint()  # type: ignore[attr-defined]
        with pytest.raises(asyncssh.PermissionDenied):
            async with host.client(client_keys=[(USER_KEY, bad)]):
                pass


def test_env_limits() -> None:
    refusal = requests.env_refusal
    assert refusal({}, b"_A1", b"") == ""
    assert refusal({}, b"A" * 256, b"v" * 65536) == ""
    for name in (b"", b"1A", b"A-B", b"A=B", b"A\n", b"\xc3\xa4", b"A" * 257):
        assert refusal({}, name, b"v").startswith("a name is")
    assert refusal({}, b"A", b"v" * 65537) == "the value has 65537 bytes, the most is 65536"
    for value in (b"\0", b"a\0b", b"\xff"):
        assert refusal({}, b"A", value) == "the value is not UTF-8 text without NUL"
    many = {f"N{number}": "" for number in range(256)}
    assert refusal(many, b"A", b"") == "there are 256 variables already"
    assert refusal(many, b"N7", b"again") == ""
    large = {f"N{number}": "v" * 65000 for number in range(4)}
    assert refusal(large, b"A", b"v" * 2134) == ""
    assert "262145 bytes" in refusal(large, b"A", b"v" * (262144 - 4 * 65002))
    assert refusal(large, b"N1", b"v" * 65000) == ""


def test_commands_that_cannot_be_run() -> None:
    for command in (b"", b" ", b"\n", b"\xff", b"x" * requests.COMMAND_BYTES_MAX):
        assert requests.command_refusal(command) == ""
    assert "NUL" in requests.command_refusal(b"a\0")
    assert "2097153 bytes" in requests.command_refusal(b"x" * (requests.COMMAND_BYTES_MAX + 1))


def test_terminal_types_and_sizes() -> None:
    assert requests.term_refusal(b"xterm-256color") == requests.term_refusal(b"") == ""
    for term in (b"\xff", b"a\nb", b"x" * 257):
        assert requests.term_refusal(term)
    assert requests.size(0, 2**32 - 1) == Size(0, 65535)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"caf\xc3\xa9 \xf0\x9f\x9a\xa2", "café 🚢"),
        (b"\xff\x00\n\t\x1b[31m", r"\xff\x00\n\t\x1b[31m"),
        (b"a\\nb", r"a\\nb"),
        ("\u202e\u00a0".encode(), r"\u202e\xa0"),
        (b"0123456789x", "012345678…"),
    ],
)
def test_escaped(raw: bytes, shown: str) -> None:
    assert escaped(raw, 10 if raw.startswith(b"0123") else 100) == shown


@given(st.binary(max_size=300), st.integers(2, 100))
def test_escaped_is_printable_and_short(raw: bytes, limit: int) -> None:
    text = escaped(raw, limit)
    assert len(text) <= limit
    assert text.isprintable()
    text.encode()


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_escaped_is_unambiguous(one: bytes, other: bytes) -> None:
    assert (escaped(one, 1000) == escaped(other, 1000)) == (one == other)
