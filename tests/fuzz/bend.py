"""Bytes made out of good ones: cut, doubled, swapped, flipped, and spliced with those of another."""

import random

# What tends to be looked at: ends of strings, signs of numbers, lengths, what nests.
WORDS = (
    *(
        b"\0",
        b"\xff",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\x80\0\0\0",
        b"\n",
        b"\r\n",
        b"\xc3\x28",
        b"\xed\xa0\x80",
    ),
    *(b'"', b"'", b"\\", b",", b":", b"{", b"}", b"[", b"]", b"-1", b"0", b"1e999", b"18446744073709551616", b"null"),
    *(b"true", b"[" * 2000, b'{"a":' * 2000, b" " * 500, b"&a ", b"*a", b"<<: ", b"!!binary ", b"---\n"),
)
EDITS_MAX = 8


def bend(dice: random.Random, seeds: list[bytes]) -> bytes:
    """One more."""
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.randrange(1, EDITS_MAX)):
        at = dice.randrange(len(data) + 1)
        until = min(len(data), at + dice.choice((0, 1, 1, 2, 4, 8, 64, 1000)))
        match dice.randrange(6):
            case 0:
                data[at:until] = dice.choice(WORDS)
            case 1:
                del data[at:until]
            case 2:
                data[at:at] = data[at:until]
            case 3:
                data[at:until] = dice.randbytes(until - at)
            case 4 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case _:
                other = dice.choice(seeds)
                start = dice.randrange(len(other) + 1)
                data[at:until] = other[start : start + dice.choice((1, 4, 32, 500))]
    return bytes(data)
