"""The file of revoked keys, read again when it has changed: what `ssh-keygen -k` makes, or public keys, one a line."""

import os
from pathlib import Path

import asyncssh
from asyncssh.public_key import KeyImportError, SSHOpenSSHCertificate

from protocol.key_options import wanted_lines
from protocol.krl import MAGIC, Revoked, Shown, read_krl

FILE_BYTES_MAX = 32 * 2**20


class RevokedKeys:
    """One file. All methods may wait for a disk."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._seen: tuple[int, ...] = ()
        self._revoked = Revoked()

    def why(self, shown: Shown) -> str:
        """Why this key lets nobody in; empty: it is not revoked. Raises OSError or ValueError: that cannot be told."""
        found = os.stat(self._path)
        seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if seen != self._seen:
            self._revoked, self._seen = read_revoked(self._path), seen
        return self._revoked.why(shown)


def shown_key(key: asyncssh.SSHKey, certificate: SSHOpenSSHCertificate | None = None) -> Shown:
    """What a list may say of it."""
    if certificate is None:
        return Shown(key=key.public_data)
    return Shown(
        key=key.public_data,
        authority=certificate.signing_key.public_data,
        serial=certificate._serial,
        key_id=_encoded(certificate._key_id),
    )


def _encoded(key_id: str | bytes) -> bytes:
    return key_id.encode("utf-8", "surrogateescape") if isinstance(key_id, str) else key_id


def read_revoked(path: Path) -> Revoked:
    """Raises OSError, or ValueError with why it cannot be trusted to be all that is revoked."""
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"it is larger than {FILE_BYTES_MAX} bytes")
    if data.startswith(MAGIC):
        return read_krl(data)
    lines = wanted_lines(data.decode("utf-8"))
    return Revoked(keys={_key(line, number) for number, line in lines})


def _key(line: str, number: int) -> bytes:
    """The key of a line; of a certificate, its own, as sshd takes it."""
    try:
        if "-cert-" in line.partition(" ")[0]:
            return asyncssh.import_certificate(line).key.public_data
        return asyncssh.import_public_key(line).public_data
    except (KeyImportError, ValueError) as error:
        raise ValueError(f"line {number} is no public key: {error}") from None


def check_revoked(path: str) -> str:
    """Why the file cannot be used; empty when it can. Raises nothing."""
    try:
        read_revoked(Path(path))
    except (OSError, ValueError) as error:
        return f"{path!r} cannot be read: {getattr(error, 'strerror', None) or error}"
    return ""
