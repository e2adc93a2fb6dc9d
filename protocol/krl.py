"""OpenSSH's key revocation lists (`ssh-keygen -k`, PROTOCOL.krl), and what one says of a key. Pure."""

from collections.abc import Iterator
from hashlib import sha1, sha256

from msgspec import Struct

MAGIC = b"SSHKRL\n\0"
FORMAT_VERSION = 1


class Shown(Struct, frozen=True, kw_only=True):
    """A key in the wire form of RFC 4253; of a certificate its own, and what else a list may name it by."""

    key: bytes
    authority: bytes = b""
    serial: int = 0
    key_id: bytes = b""


class Certificates(Struct):
    """Revoked ones of one authority, or, without one, of any."""

    authority: bytes
    key_ids: set[bytes]
    ranges: list[tuple[int, int]]  # of serial numbers, both ends included

    def has(self, shown: Shown) -> bool:
        if not shown.authority or self.authority not in (b"", shown.authority):
            return False
        # 0 is what a certificate has whose authority does not count.
        counted = shown.serial and any(low <= shown.serial <= high for low, high in self.ranges)
        return bool(counted) or shown.key_id in self.key_ids


class Revoked(Struct):
    """What is revoked."""

    keys: set[bytes] = set()
    hashes: set[bytes] = set()
    certificates: list[Certificates] = []

    def why(self, shown: Shown) -> str:
        """Why this key lets nobody in; empty: it is not revoked. An authority takes all its certificates along."""
        if self._has_key(shown.key):
            return "its key is revoked"
        if shown.authority and self._has_key(shown.authority):
            return "its authority is revoked"
        return "its certificate is revoked" if any(one.has(shown) for one in self.certificates) else ""

    def _has_key(self, key: bytes) -> bool:
        return key in self.keys or not self.hashes.isdisjoint({sha1(key).digest(), sha256(key).digest()})


class _Bytes:
    """Reads RFC 4251's types from the front. Raises ValueError where there is too little."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = memoryview(data), 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise ValueError("it is cut short")
        self._at += count
        return bytes(self._data[self._at - count : self._at])

    def number(self, bytes_: int) -> int:
        return int.from_bytes(self.take(bytes_))

    def string(self) -> bytes:
        return self.take(self.number(4))

    def strings(self) -> Iterator[bytes]:
        while self:
            yield self.string()


def read_krl(data: bytes) -> Revoked:
    """Raises ValueError with why it cannot be trusted to be all that is revoked."""
    rest = _Bytes(data)
    if rest.take(len(MAGIC)) != MAGIC:
        raise ValueError("it does not begin as a list of revoked keys does")
    if (version := rest.number(4)) != FORMAT_VERSION:
        raise ValueError(f"it is of format {version}, and {FORMAT_VERSION} is known here")
    rest.take(3 * 8)  # its own number, when it was made, flags
    rest.string(), rest.string()  # reserved, a comment
    revoked = Revoked(keys=set(), hashes=set(), certificates=[])
    while rest:
        kind, section = rest.number(1), _Bytes(rest.string())
        match kind:
            case 1:  # certificates
                revoked.certificates.append(_certificates(section))
            case 2:  # keys
                revoked.keys.update(section.strings())
            case 3 | 5:  # their hashes, of SHA-1 and SHA-256
                revoked.hashes.update(section.strings())
            case 4:  # a signature, by nobody that we could know; its second string follows
                rest.string()
            case 255:  # an extension
                _extension(section)
            case _:
                raise ValueError(f"it has a section of the unknown kind {kind}")
    return revoked


def _certificates(section: _Bytes) -> Certificates:
    found = Certificates(section.string(), set(), [])
    section.string()  # reserved
    while section:
        kind, part = section.number(1), _Bytes(section.string())
        match kind:
            case 0x20:  # serial numbers
                while part:
                    serial = part.number(8)
                    found.ranges.append((serial, serial))
            case 0x21:  # a range of them
                found.ranges.append((part.number(8), part.number(8)))
            case 0x22:  # a map of bits
                first, bits = part.number(8), int.from_bytes(part.string())
                found.ranges += [(first + low, first + high) for low, high in _runs(bits)]
            case 0x23:  # key ids
                found.key_ids.update(part.strings())
            case 0x39:  # an extension
                _extension(part)
            case _:
                raise ValueError(f"it names certificates in the unknown way {kind}")
    return found


def _extension(section: _Bytes) -> None:
    name, is_critical = section.string(), section.number(1)
    if is_critical:
        raise ValueError(f"it has the critical extension {name[:60]!r}, which is not known here")


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    """First and last place of each run of ones, from the lowest bit."""
    text = bin(bits)[:1:-1]
    place = 0
    while (start := text.find("1", place)) >= 0:
        place = text.find("0", start)
        place = len(text) if place < 0 else place
        yield start, place - 1
