"""Who may come in: the configured users, their keys and password hashes."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncssh
from asyncssh.public_key import KeyImportError, decode_ssh_certificate, decode_ssh_public_key

from protocol.settings import Auth, Settings, User

# check_password(hash, password): one try, which takes its time outside the loop's thread.
CheckPassword = Callable[[str, str], Awaitable[bool]]

# Options of a key line that we keep to; those that forbid what we never do are kept to by themselves.
OPTIONS_KEPT = frozenset({"from", "command", "pty", "no-pty", "restrict", "cert-authority", "principals"})
OPTIONS_MOOT = frozenset(
    {"no-agent-forwarding", "no-port-forwarding", "no-x11-forwarding", "no-X11-forwarding", "no-user-rc", "permitopen"}
)


def key_lines(entry: str) -> str:
    """An `authorizedKeys` entry is key lines or the name of a file of them. Raises OSError, UnicodeDecodeError."""
    if " AAAA" in entry:  # the base64 of every public key begins so
        return entry
    return Path(entry).expanduser().read_text("utf-8")


def authorized_keys(user: User) -> asyncssh.SSHAuthorizedKeys:
    """All keys of one user; entries without a usable key are passed over (`check` has told of them)."""
    keys = asyncssh.SSHAuthorizedKeys()
    for entry in user.authorized_keys:
        try:
            keys.load(key_lines(entry))
        except (OSError, ValueError):
            continue
    return keys


class Authenticator:
    """The ways in, read once at start. A name that is not known is treated as one that is: same methods, same time."""

    def __init__(self, auth: Auth, check_password: CheckPassword) -> None:
        self._check_password = check_password
        self._nobody = asyncssh.SSHAuthorizedKeys()
        self._keys = {name: authorized_keys(user) for name, user in auth.users.items() if user.authorized_keys}
        self._hashes = {name: user.password_hash for name, user in auth.users.items() if user.password_hash}
        self._decoy = next(iter(self._hashes.values()), "")
        self.users = frozenset(auth.users)
        self.offers_keys = bool(self._keys)
        self.offers_passwords = bool(self._hashes)

    def keys_of(self, username: str) -> asyncssh.SSHAuthorizedKeys:
        return self._keys.get(username, self._nobody)

    async def password_fits(self, username: str, password: str) -> bool:
        """Is it? For who has no password, somebody's hash is tried all the same, so that the time tells nothing."""
        known = self._hashes.get(username)
        fits = await self._check_password(known or self._decoy, password)
        return fits and known is not None


def fingerprint(key_data: bytes) -> str:
    """`SHA256:…` of a public key as sent; of a certificate, that of the key in it. Empty when it is neither."""
    try:
        return decode_ssh_public_key(key_data).get_fingerprint()
    except KeyImportError:
        pass
    try:
        return decode_ssh_certificate(key_data).key.get_fingerprint()
    except KeyImportError:
        return ""


def check(settings: Settings) -> list[tuple[str, str]]:
    """(path, sentence) for each `authorizedKeys` entry that would not do what it says. Empty when all is well."""
    return [
        (f"auth.users.{name}.authorizedKeys[{place}]", sentence)
        for name, user in settings.auth.users.items()
        for place, entry in enumerate(user.authorized_keys)
        for sentence in _entry_faults(entry)
    ]


def _entry_faults(entry: str) -> Iterator[str]:
    try:
        lines = key_lines(entry).splitlines()
    except (OSError, ValueError) as error:
        yield f"{entry!r} is neither a public key nor a file that can be read: {getattr(error, 'strerror', error)}"
        return
    wanted = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"]
    if not wanted:
        yield f"{entry!r} holds no key"
    for number, line in wanted:
        where = f"line {number}: " if len(lines) > 1 else ""
        keys = asyncssh.SSHAuthorizedKeys()
        try:
            keys.load(line)
        except ValueError:
            yield f"{where}this is not a public key line"
            continue
        for option in _options(keys) - OPTIONS_KEPT - OPTIONS_MOOT:
            yield f"{where}the option {option!r} is not kept to here; the key would be let in without it"


def _options(keys: asyncssh.SSHAuthorizedKeys) -> set[str]:
    entries = [*keys._user_entries, *keys._ca_entries, *keys._x509_entries]
    return {option for entry in entries for option in entry.options}
