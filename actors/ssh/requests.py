"""May this be taken? Pure answers to what a session channel asks for; an empty sentence is a yes."""

import re
from collections.abc import Container, Mapping

from actors.ssh.text import escaped
from protocol.base import Size

ENV_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
ENV_NAME_BYTES_MAX = 256
ENV_VALUE_BYTES_MAX = 64 * 1024
ENV_COUNT_MAX = 256
ENV_BYTES_MAX = 256 * 1024
TERM_BYTES_MAX = 256
COMMAND_BYTES_MAX = 2 * 1024 * 1024
CELLS_MAX = 65535  # the kernel's struct winsize has 16 bits
SIGNALS = frozenset(b"ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2".split())  # RFC 4254 section 6.10


def env_refusal(taken: Mapping[str, str], name: bytes, value: bytes) -> str:
    """`taken`: what this session has so far. Setting a name again replaces it."""
    if len(name) > ENV_NAME_BYTES_MAX or not ENV_NAME.fullmatch(name):
        return f"a name is a letter or _, then letters, digits or _, at most {ENV_NAME_BYTES_MAX} bytes"
    if len(value) > ENV_VALUE_BYTES_MAX:
        return f"the value has {len(value)} bytes, the most is {ENV_VALUE_BYTES_MAX}"
    if b"\0" in value or not _is_utf8(value):
        return "the value is not UTF-8 text without NUL"
    others = {known: text for known, text in taken.items() if known != name.decode()}
    if len(others) >= ENV_COUNT_MAX:
        return f"there are {ENV_COUNT_MAX} variables already"
    total = sum(len(known) + len(text.encode()) for known, text in others.items()) + len(name) + len(value)
    if total > ENV_BYTES_MAX:
        return f"all variables together would have {total} bytes, the most is {ENV_BYTES_MAX}"
    return ""


def command_refusal(command: bytes) -> str:
    """An empty or blank command is one that does nothing; the container's shell knows what to do with it."""
    if b"\0" in command:
        return "the command contains a NUL byte, which no program can be given"
    if len(command) > COMMAND_BYTES_MAX:
        return f"the command has {len(command)} bytes; the most is {COMMAND_BYTES_MAX}"
    return ""


def subsystem_refusal(known: Container[str], name: bytes) -> str:
    if name.isascii() and name.decode() in known:
        return ""
    return f'there is no subsystem "{escaped(name, 64)}" here'


def term_refusal(term: bytes) -> str:
    if len(term) > TERM_BYTES_MAX or not term.isascii() or not term.decode().isprintable():
        return f"TERM is printable ASCII of at most {TERM_BYTES_MAX} bytes"
    return ""


def size(columns: int, rows: int) -> Size:
    """0 stays 0: it says that the client does not know."""
    return Size(min(columns, CELLS_MAX), min(rows, CELLS_MAX))


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
