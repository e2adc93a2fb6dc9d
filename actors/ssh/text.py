"""What a client sent, made fit to be shown: in an event, a log line, a sentence."""

ASCII_SURROGATE = 0xDC00


def escaped(raw: bytes, limit: int) -> str:
    """Readable and unambiguous: UTF-8 stays, all else and the backslash itself is escaped. At most `limit` characters.

    >>> escaped(b"caf\\xc3\\xa9 \\xff\\n", 80)
    'café \\\\xff\\\\n'
    """
    text = raw[: 4 * limit].decode("utf-8", "surrogateescape")
    shown = "".join(_shown(char) for char in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _shown(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - ASCII_SURROGATE:02x}"
    return char.encode("unicode_escape").decode("ascii")
