"""Codes of an authenticator app (RFC 6238): six digits of SHA-1 every thirty seconds, each good for one login."""

import base64
import binascii
import hmac
import struct

STEP_S = 30
DIGITS = 6
DRIFT = 1  # steps that a phone's clock may be off
KEY_BYTES_MIN = 10  # what the usual apps make; RFC 4226 wants 16
_DECOY = b"nobody has this secret"


def read_secret(text: str) -> bytes:
    """Base32 as apps show it: lower case and blanks are fine, padding is not needed. Raises ValueError."""
    plain = "".join(text.split()).replace("-", "").upper().rstrip("=")
    try:
        secret = base64.b32decode(plain + "=" * (-len(plain) % 8))
    except (binascii.Error, ValueError):
        raise ValueError("not base32 (letters A to Z and digits 2 to 7)") from None
    if len(secret) < KEY_BYTES_MIN:
        raise ValueError(f"shorter than {KEY_BYTES_MIN} bytes")
    return secret


def code(secret: bytes, step: int) -> str:
    """The code of one step of thirty seconds."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    place = digest[-1] & 15
    number: int = struct.unpack(">I", digest[place : place + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


class Codes:
    """Checks codes and remembers the last one of each user, so that one seen over a shoulder is worth nothing."""

    def __init__(self, secrets: dict[str, str]) -> None:
        self._secrets = {name: read_secret(text) for name, text in secrets.items()}
        self._used: dict[str, int] = {}

    def go_on(self, before: "Codes") -> None:
        """With what another remembers: a code that was good once is not good again."""
        self._used = before._used

    def fits(self, username: str, given: str, now: float) -> bool:
        """`now` is seconds since 1970. For who has no secret, one that nobody has is tried."""
        secret = self._secrets.get(username, _DECOY)
        text = "".join(given.split()).encode("utf-8", "replace")
        step = int(now) // STEP_S
        fitting = [
            at for at in range(step - DRIFT, step + DRIFT + 1) if hmac.compare_digest(code(secret, at).encode(), text)
        ]
        if not fitting or username not in self._secrets or max(fitting) <= self._used.get(username, -1):
            return False
        self._used[username] = max(fitting)
        return True
