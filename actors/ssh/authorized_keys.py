"""Public keys and certificates against lines of `authorized_keys` and trusted authorities: who is let in, to what?"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import asyncssh
from asyncssh.misc import ip_address
from asyncssh.pattern import HostPatternList
from asyncssh.public_key import CERT_TYPE_USER, SSHOpenSSHCertificate
from msgspec import Struct

from actors.login import Judgement, Rights
from protocol.key_options import KeyOptions, read_line, wanted_lines

NOT_THEIRS = "it is not one of this user's"
Permits = dict[str, object]


class Entry(Struct, frozen=True):
    """One line: its key, and the options it comes with."""

    key: asyncssh.SSHKey
    options: KeyOptions
    hosts: HostPatternList | None


def read_entry(line: str) -> Entry:
    """Raises ValueError with a sentence."""
    found = read_line(line)
    try:
        key = asyncssh.import_public_key(found.key)
    except asyncssh.KeyImportError:
        raise ValueError("this is not a public key line") from None
    hosts = ",".join(found.options.hosts)
    try:
        return Entry(key, found.options, HostPatternList(hosts) if hosts else None)
    except ValueError as error:
        raise ValueError(f"from= has an address that is none: {error}") from None


def read_entries(text: str) -> list[Entry]:
    """What can be used of it. A line that cannot be read lets nobody in."""
    entries = []
    for _, line in wanted_lines(text):
        try:
            entries.append(read_entry(line))
        except ValueError:
            continue
    return entries


def judge_key(entries: Iterable[Entry], key: asyncssh.SSHKey, host: str) -> Judgement:
    """The first line that holds the key and whose conditions are met decides; else the last obstacle is told."""
    why = NOT_THEIRS
    for entry in entries:
        if entry.options.authority or entry.key != key:
            continue
        if not (obstacle := _obstacle(entry, host)):
            return _rights(entry.options, None)
        why = obstacle
    return why


def judge_certificate(
    entries: Sequence[Entry], trusted: Sequence[Entry], certificate: SSHOpenSSHCertificate, username: str, host: str
) -> Judgement:
    """`entries` are the user's own lines, `trusted` the authorities for everybody. Who is in no list of principals is
    not let in; a certificate that names nobody lets nobody in."""
    why = "it is signed by no authority that is trusted here"
    for entry in (*entries, *trusted):
        if not entry.options.authority or entry.key != certificate.signing_key:
            continue
        wanted = entry.options.principals or (username,)
        if not (obstacle := _obstacle(entry, host) or _flaw(certificate, wanted, host)):
            return _merged(entry.options, certificate)
        why = obstacle
    return why


def _obstacle(entry: Entry, host: str) -> str:
    if entry.options.expires:
        now = time.time()
        local, utc = (time.strftime("%Y%m%d%H%M%S", of(now)) for of in (time.localtime, time.gmtime))
        if entry.options.is_expired(local, utc):
            return "its line has expired (expiry-time)"
    if entry.hosts is not None and not _is_from(entry.hosts, host):
        return "it may not come from this address (from)"
    return ""


def _is_from(hosts: HostPatternList, host: str) -> bool:
    """Names are not looked up, as with sshd's `UseDNS no`: patterns are held against the address."""
    try:
        return hosts.matches(host, host, ip_address(host))
    except ValueError:
        return False


def _flaw(certificate: SSHOpenSSHCertificate, wanted: Sequence[str], host: str) -> str:
    """Why the certificate lets nobody of `wanted` in; empty when it does."""
    if not set(wanted) & set(certificate.principals):
        return "its certificate has no principal that is wanted here"
    try:
        certificate.validate(CERT_TYPE_USER, None)
    except ValueError as error:
        return f"its certificate is not good: {error}"
    networks = cast("Sequence[object] | None", certificate.options.get("source-address"))
    try:
        address = ip_address(host)
    except ValueError:
        return "its address is not known"
    if networks and not any(address in network for network in networks):  # type: ignore[operator]
        return "its certificate may not come from this address (source-address)"
    return ""


def _merged(options: KeyOptions, certificate: SSHOpenSSHCertificate) -> Judgement:
    """What both allow. Two different commands cannot both be kept to."""
    forced = cast("str | None", certificate.options.get("force-command"))
    if forced is not None and options.command not in (None, forced):
        return "its line and its certificate force different commands"
    return _rights(options, certificate)


def _rights(options: KeyOptions, certificate: SSHOpenSSHCertificate | None) -> Rights:
    permits = (lambda name: True) if certificate is None else _permits(certificate)
    forced = None if certificate is None else cast("str | None", certificate.options.get("force-command"))
    touch_free = not options.touch and (certificate is None or bool(certificate.options.get("no-touch-required")))
    return Rights(
        forced_command=options.command if forced is None else forced,
        environment=options.environment,
        pty=options.pty and permits("permit-pty"),
        port_forwarding=options.port_forwarding and permits("permit-port-forwarding"),
        agent_forwarding=options.agent_forwarding and permits("permit-agent-forwarding"),
        x11_forwarding=options.x11_forwarding and permits("permit-X11-forwarding"),
        permit_open=options.permit_open,
        permit_listen=options.permit_listen,
        touch=not touch_free,
    )


def _permits(certificate: SSHOpenSSHCertificate) -> Callable[[str], bool]:
    return lambda name: bool(certificate.options.get(name))
