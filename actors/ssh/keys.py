"""Host keys: reading them, and saying in a sentence what is wrong with one."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import asyncssh

from protocol.settings import Settings

RSA_BITS_MIN = 2048


class BadKey(ValueError):
    """A key that cannot be used; its text is the sentence for the operator."""


def load_host_keys(hostkeys: Iterable[str]) -> Sequence[asyncssh.SSHKeyPair]:
    """File names or PEM texts to key pairs, each also with its certificate when `FILE-cert.pub` lies beside it.

    Raises BadKey, naming the key by its place.
    """
    pairs: list[asyncssh.SSHKeyPair] = []
    for place, text in enumerate(hostkeys):
        try:
            pairs += load_host_key(text)
        except BadKey as error:
            raise BadKey(f"ssh.hostkeys[{place}]: {error}") from None
    return pairs


def load_host_key(text: str) -> Sequence[asyncssh.SSHKeyPair]:
    """One key: a PEM text, or the name of a file. Raises BadKey."""
    is_pem = text.lstrip().startswith("-----")
    try:
        data = text.strip().encode() + b"\n" if is_pem else Path(text).expanduser().read_bytes()
    except OSError as error:
        raise BadKey(f"the file {text!r} cannot be read: {error.strerror or error}") from None
    try:
        key = asyncssh.import_private_key(data)
    except asyncssh.KeyEncryptionError:
        raise BadKey("the key has a passphrase; a host key must not have one") from None
    except asyncssh.KeyImportError as error:
        if "assphrase" in str(error):
            raise BadKey("the key has a passphrase; a host key must not have one") from None
        what = "the text" if is_pem else f"the file {text!r}"
        raise BadKey(f"{what} is not a private key in PEM or OpenSSH form") from None
    _check_strength(key)
    certificate = Path(f"{text}-cert.pub").expanduser()
    if is_pem or not certificate.is_file():
        return asyncssh.load_keypairs([key])
    try:
        return asyncssh.load_keypairs([(key, str(certificate))])
    except (ValueError, OSError) as error:
        raise BadKey(f"the certificate {str(certificate)!r} does not fit the key: {error}") from None


def _check_strength(key: asyncssh.SSHKey) -> None:
    if key.get_algorithm() == "ssh-dss":
        raise BadKey("it is a DSA key, which no current client accepts; use ed25519, ecdsa or rsa")
    size = getattr(key.pyca_key, "key_size", RSA_BITS_MIN)
    if key.get_algorithm() == "ssh-rsa" and size < RSA_BITS_MIN:
        raise BadKey(f"it is an RSA key of {size} bits; clients want at least {RSA_BITS_MIN}")


def check(settings: Settings) -> list[tuple[str, str]]:
    """(path, sentence) for each host key that cannot be used. Empty when all is well."""
    if not settings.ssh.hostkeys:
        return [("ssh.hostkeys", "no host key is configured; make one with: ssh-keygen -t ed25519 -N '' -f FILE")]
    found: list[tuple[str, str]] = []
    first_with: dict[str, int] = {}
    for place, text in enumerate(settings.ssh.hostkeys):
        path = f"ssh.hostkeys[{place}]"
        try:
            algorithm = load_host_key(text)[0].get_algorithm()
        except BadKey as error:
            found.append((path, str(error)))
            continue
        other = first_with.setdefault(algorithm, place)
        if other != place:
            found.append((path, f"it is a second {algorithm} key (the first is ssh.hostkeys[{other}]); one of a type"))
    return found
