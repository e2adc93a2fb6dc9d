"""The keys that the configuration holds, and what a client shows held against them."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import asyncssh
from asyncssh.public_key import KeyImportError, SSHOpenSSHCertificate, decode_ssh_certificate, decode_ssh_public_key
from msgspec import Struct

from actors.login import Judgement, KeyOffer
from actors.ssh.authorized_keys import Entry, judge_certificate, judge_key, read_entries, read_entry
from actors.ssh.revoked import RevokedKeys, check_revoked, shown_key
from protocol.key_options import KeyOptions, wanted_lines
from protocol.krl import Shown
from protocol.settings import Settings
from protocol.settings_auth import Auth, User
from protocol.ways import offered_first


class ShownKey(Struct, frozen=True):
    """A key as a client has shown it: what its signature is held against, and what is asked about it."""

    key: asyncssh.SSHKey
    offer: KeyOffer


class Keyring:
    """The configured keys, read once at start."""

    def __init__(self, auth: Auth) -> None:
        self._entries = {name: authorized_keys(user) for name, user in auth.users.items() if user.authorized_keys}
        self.offered_first = offered_first(auth)  # asked of all users together, so not once a login
        texts = (text for entry in auth.trusted_user_ca_keys for text in _usable(entry))
        self._revoked = RevokedKeys(auth.revoked_keys) if auth.revoked_keys else None
        self._trusted = [
            Entry(entry.key, KeyOptions(authority=True), None) for text in texts for entry in read_entries(text)
        ]

    def shown(self, username: str, data: bytes, host: str) -> ShownKey | None:
        """A key or certificate as sent. None: it is neither, or says something critical that is not understood."""
        try:
            certificate = decode_ssh_certificate(data)
        except KeyImportError:
            return self._plain(username, data, host)
        if not isinstance(certificate, SSHOpenSSHCertificate):
            return None
        own = self._entries.get(username, [])

        def by_users() -> Judgement:
            return judge_certificate(own, self._trusted, certificate, username, host)

        def by_lines(text: str) -> Judgement:
            return judge_certificate(read_entries(text), (), certificate, username, host)

        key = certificate.key
        revoked = self._asked(shown_key(key, certificate))
        return ShownKey(key, KeyOffer(data, key.get_fingerprint(), "", by_users, by_lines, revoked))

    def _plain(self, username: str, data: bytes, host: str) -> ShownKey | None:
        try:
            key = decode_ssh_public_key(data)
        except KeyImportError:
            return None

        def by_lines(text: str) -> Judgement:
            return judge_key(read_entries(text), key, host)

        line = " ".join(key.export_public_key().decode("ascii").split()[:2])
        by_users = partial(judge_key, self._entries.get(username, []), key, host)
        revoked = self._asked(shown_key(key))
        return ShownKey(key, KeyOffer(data, key.get_fingerprint(), line, by_users, by_lines, revoked))

    def _asked(self, shown: Shown) -> Callable[[], str] | None:
        return None if self._revoked is None else partial(self._revoked.why, shown)


def key_lines(entry: str) -> str:
    """An `authorizedKeys` entry is key lines or the name of a file of them. Raises OSError, UnicodeDecodeError."""
    if " AAAA" in entry:  # the base64 of every public key begins so
        return entry
    return Path(entry).expanduser().read_text("utf-8")


def authorized_keys(user: User) -> list[Entry]:
    """All keys of one user; entries without a usable key are passed over (`check` has told of them)."""
    return [entry for text in user.authorized_keys for lines in _usable(text) for entry in read_entries(lines)]


def _usable(entry: str) -> Iterator[str]:
    try:
        yield key_lines(entry)
    except (OSError, ValueError):
        return


def check(settings: Settings) -> list[tuple[str, str]]:
    """(path, sentence) for each key entry that would not do what it says. Empty when all is well."""
    auth = settings.auth
    entries = [
        (f"auth.users.{name}.authorizedKeys[{place}]", entry)
        for name, user in auth.users.items()
        for place, entry in enumerate(user.authorized_keys)
    ]
    entries += [(f"auth.trustedUserCAKeys[{place}]", entry) for place, entry in enumerate(auth.trusted_user_ca_keys)]
    found = [(path, sentence) for path, entry in entries for sentence in _entry_faults(entry)]
    if auth.revoked_keys and (why := check_revoked(auth.revoked_keys)):
        found.append(("auth.revokedKeys", why))
    return found


def _entry_faults(entry: str) -> Iterator[str]:
    try:
        text = key_lines(entry)
    except (OSError, ValueError) as error:
        yield f"{entry!r} is neither a public key nor a file that can be read: {getattr(error, 'strerror', error)}"
        return
    wanted = wanted_lines(text)
    if not wanted:
        yield f"{entry!r} holds no key"
    for number, line in wanted:
        try:
            read_entry(line)
        except ValueError as error:
            where = f"line {number}: " if len(text.splitlines()) > 1 else ""
            yield f"{where}{error}"
