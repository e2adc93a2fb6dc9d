"""From our settings to asyncssh's options, and the checks that go with it."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs

from actors.ssh.keys import load_host_keys
from protocol.settings import Settings, Ssh

VERSION_PREFIX = "SSH-2.0-"
VERSION_CHARS_MAX = 253  # RFC 4253 section 4.2: 255 with CR LF

# AES-GCM first, for it is about twice as fast as ChaCha20 here; the client's own order decides all the same.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
# Post-quantum first. What the installed crypto library cannot do is left out.
KEX = (
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp521",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
)
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")


def _names(library: Callable[[], Sequence[bytes]]) -> list[str]:
    return [name.decode("ascii") for name in library() if not name.startswith(b"gss-")]


def _chosen(wanted: Sequence[str], ours: Sequence[str], library: Callable[[], Sequence[bytes]]) -> list[str]:
    return list(wanted) if wanted else [name for name in ours if name in _names(library)]


def listen_address(text: str) -> tuple[str | None, int]:
    """`HOST:PORT`, `[IPV6]:PORT` or `:PORT` (every interface, as None). Raises ValueError with a sentence."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT with a port from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address is written in brackets, as in [::1]:2222")
    return host or None, int(port)


def check(ssh: Ssh) -> list[tuple[str, str]]:
    """(path, sentence) for each option that cannot be used. Empty when all is well."""
    found: list[tuple[str, str]] = []
    try:
        listen_address(ssh.listen)
    except ValueError as error:
        found.append(("ssh.listen", str(error)))
    found += [("ssh.serverVersion", sentence) for sentence in _version_faults(ssh.server_version)]
    for key, wanted, library in (
        ("ciphers", ssh.ciphers, get_encryption_algs),
        ("kex", ssh.kex, get_kex_algs),
        ("macs", ssh.macs, get_mac_algs),
    ):
        allowed = _names(library)
        for place, name in enumerate(wanted):
            if name not in allowed:
                found.append((f"ssh.{key}[{place}]", _unknown(name, allowed)))
    for key, number, least in (
        ("clientAliveCountMax", ssh.client_alive_count_max, 1),
        ("maxAuthTries", ssh.max_auth_tries, 1),
        ("maxStartups", ssh.max_startups, 1),
        ("clientAliveInterval", ssh.client_alive_interval, 0),
    ):
        if number < least:
            found.append((f"ssh.{key}", f"{number} is too small; the least is {least}"))
    return found


def _unknown(name: str, allowed: Sequence[str]) -> str:
    near = [known for known in allowed if name and known.startswith(name)] or get_close_matches(name, allowed, n=1)
    hint = f"the nearest is {near[0]}; " if near else ""
    return f"{name!r} is not known here; {hint}allowed are {', '.join(allowed)}"


def _version_faults(version: str) -> list[str]:
    software = version.removeprefix(VERSION_PREFIX).split(" ")[0]
    if not version.startswith(VERSION_PREFIX) or not software:
        return [f"{version!r} does not begin with {VERSION_PREFIX} and a name"]
    if not (version.isascii() and version.isprintable()) or "-" in software:
        return [f"{version!r}: the name is printable ASCII without '-' (RFC 4253 section 4.2)"]
    if len(version) > VERSION_CHARS_MAX:
        return [f"it has {len(version)} characters; {VERSION_CHARS_MAX} is the most"]
    return []


def question_interval(ssh: Ssh) -> float:
    """Between two questions: spread evenly, so that the last one too is given time before interval x count is over."""
    return ssh.client_alive_interval * ssh.client_alive_count_max / (ssh.client_alive_count_max + 1)


def server_options(
    settings: Settings, server_factory: Callable[[], asyncssh.SSHServer]
) -> asyncssh.SSHServerConnectionOptions:
    """asyncssh's options, with everything of its own switched off: forwarding, SFTP, line editor, compression, config.

    Which methods are offered is asked of the handler. Raises BadKey or ValueError.
    """
    ssh = settings.ssh
    return asyncssh.SSHServerConnectionOptions(
        server_factory=server_factory,
        server_host_keys=load_host_keys(ssh.hostkeys),
        server_version=ssh.server_version.removeprefix(VERSION_PREFIX),
        encryption_algs=_chosen(ssh.ciphers, CIPHERS, get_encryption_algs),
        kex_algs=_chosen(ssh.kex, KEX, get_kex_algs),
        mac_algs=_chosen(ssh.macs, MACS, get_mac_algs),
        compression_algs=None,
        keepalive_interval=question_interval(ssh),
        keepalive_count_max=ssh.client_alive_count_max,
        login_timeout=0,  # the login grace is a deadline of the connection machine
        public_key_auth=True,
        password_auth=True,
        kbdint_auth=True,
        host_based_auth=False,
        gss_host=None,
        gss_kex=False,
        gss_auth=False,
        x509_trusted_certs=None,
        agent_forwarding=False,
        x11_forwarding=False,
        allow_pty=True,
        line_editor=False,
        encoding=None,
        utf8_decode_errors="backslashreplace",
    )
