"""Lists of revoked keys: what cannot be read to its end revokes everything, so it must never be half read.

That real lists say the same here as `ssh-keygen -Q` says is tested in `tests/actors/ssh/test_revoked.py`.
"""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.krl import MAGIC, Revoked, Shown, read_krl


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def krl(*sections: tuple[int, bytes], version: int = 1) -> bytes:
    head = MAGIC + struct.pack(">IQQQ", version, 1, 2, 0) + string(b"") + string(b"a comment")
    return head + b"".join(bytes([kind]) + string(data) for kind, data in sections)


def certificates(*parts: tuple[int, bytes], authority: bytes = b"ca") -> tuple[int, bytes]:
    return 1, string(authority) + string(b"") + b"".join(bytes([kind]) + string(data) for kind, data in parts)


def shown(serial: int = 0, key_id: bytes = b"", authority: bytes = b"ca") -> Shown:
    return Shown(key=b"k", authority=authority, serial=serial, key_id=key_id)


BITS = struct.pack(">Q", 100) + string(b"\x01\x82")  # 100+1, 100+7, 100+8


@pytest.mark.parametrize(
    ("part", "bad", "good"),
    [
        ((0x20, struct.pack(">QQ", 3, 2**64 - 1)), (3, 2**64 - 1), (2, 4)),
        ((0x21, struct.pack(">QQ", 3, 5)), (3, 4, 5), (2, 6)),
        ((0x22, BITS), (101, 107, 108), (100, 102, 106, 109)),
        ((0x21, struct.pack(">QQ", 0, 5)), (1,), (0,)),  # 0 is no number at all
    ],
)
def test_serial_numbers(part: tuple[int, bytes], bad: tuple[int, ...], good: tuple[int, ...]) -> None:
    revoked = read_krl(krl(certificates(part)))
    assert all(revoked.why(shown(serial)) == "its certificate is revoked" for serial in bad)
    assert not any(revoked.why(shown(serial)) for serial in good)
    assert not any(revoked.why(shown(serial, authority=b"another")) for serial in bad)
    assert not any(revoked.why(Shown(key=b"k", serial=serial)) for serial in bad), "a plain key has none"


def test_key_ids_and_authorities() -> None:
    revoked = read_krl(krl(certificates((0x23, string(b"ann") + string(b"bob")), authority=b"")))
    assert revoked.why(shown(key_id=b"bob", authority=b"whoever")) and not revoked.why(shown(key_id=b"bo"))
    revoked = read_krl(krl((2, string(b"ca") + string(b"k2"))))
    assert revoked.why(shown()) == "its authority is revoked"
    assert revoked.why(Shown(key=b"k2")) == "its key is revoked" and not revoked.why(Shown(key=b"k"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut short"),
        (MAGIC, "cut short"),
        (b"ssh-rsa AAAA", "does not begin"),
        (krl(version=2), "format 2"),
        (krl((9, b"")), "unknown kind 9"),
        (krl(certificates((0x29, b""))), "unknown way 41"),
        (krl((255, string(b"x@y") + b"\1" + string(b""))), "critical extension"),
        (krl(certificates((0x39, string(b"x@y") + b"\1" + string(b"")))), "critical extension"),
        (krl((2, string(b"key")))[:-1], "cut short"),
        (krl((2, b"\0\0\0\xffk")), "cut short"),
        (krl(certificates((0x20, b"\0" * 9))), "cut short"),
    ],
)
def test_what_cannot_be_trusted_to_be_all(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_krl(data)


def test_what_may_be_passed_over() -> None:
    extension = string(b"x@y") + b"\0" + string(b"")
    revoked = read_krl(krl((255, extension), certificates((0x39, extension))) + b"\4" + string(b"key") + string(b"sig"))
    assert revoked == Revoked(certificates=revoked.certificates) and not revoked.why(shown())


@given(st.binary(max_size=200), st.sampled_from([0, 1, 2, 3, 4, 5, 255]))
def test_any_bytes_are_a_list_or_a_sentence(data: bytes, kind: int) -> None:
    for whole in (data, MAGIC + data, krl((kind, data)), krl(certificates((0x20 + kind % 4, data)))):
        try:
            read_krl(whole).why(shown(3, b"x"))
        except ValueError as error:
            assert str(error)
