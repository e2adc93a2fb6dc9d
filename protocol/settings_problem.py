"""What is wrong with a configuration, said so that its author can put it right; and what unquoted text may mean."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from msgspec import Struct

from protocol.settings import Settings

SHOWN_MAX = 60  # characters of a wrong value that a sentence repeats
DURATION_MAX_NS = 2**63 - 1  # Go's own limit, 292 years

_INT = re.compile(r"[-+]?(?:0b[01][01_]*|0o[0-7][0-7_]*|0[0-7_]+|0x[0-9a-fA-F][0-9a-fA-F_]*|[1-9][0-9_]*|0)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DURATION = re.compile(r"(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9.]+)([a-zµμ]+)")
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([kmgt])i?b?", re.IGNORECASE)

_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_BYTES = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


def one_line(text: str) -> str:
    """`text` with what cannot be printed escaped: a file's own words must not forge a line of the log."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


class Problem(Struct, frozen=True):
    """One thing wrong, or worth a remark: where (`docker.execution.mode`), what was found, what is allowed, what to do.

    A value that may be secret is never in it. `line` is counted from 1; 0: not known. `code`: the message code that a
    remark is logged under, where it has one of its own.
    """

    path: str
    found: str
    allowed: str = ""
    advice: str = ""
    line: int = 0
    code: str = ""

    @property
    def sentence(self) -> str:
        """All but the path, in one line."""
        parts = [self.found, f"allowed: {self.allowed}" if self.allowed else "", self.advice]
        return one_line("; ".join(part for part in parts if part))

    def __str__(self) -> str:
        where = f" (line {self.line})" if self.line else ""
        return f"{one_line(self.path) or 'the configuration'}: {self.sentence}{where}"


class SettingsError(Exception):
    """The configuration cannot be used: every problem in it, in the order of the file, and the remarks besides.

    `settings` is what could be read, defaults standing in for the rest, for further checks only; None: nothing could.
    """

    def __init__(
        self, problems: Iterable[Problem], warnings: Iterable[Problem] = (), settings: Settings | None = None
    ) -> None:
        self.problems, self.warnings, self.settings = tuple(problems), tuple(warnings), settings
        super().__init__("\n".join(str(problem) for problem in self.problems))


def is_within(path: str, other: str) -> bool:
    """`path` is `other` or lies under it, whatever the spelling."""
    path, other = path.lower(), other.lower()
    return path == other or path.startswith((f"{other}.", f"{other}["))


def above(path: str) -> str:
    """The path that `path` lies under; empty at the top."""
    return path[: max(path.rfind("."), path.rfind("["), 0)]


class Plain(str):
    """An unquoted scalar of a YAML file. What it means depends on what its key wants: `user: 1000` is text."""


def join(path: str, key: str) -> str:
    """The path of `key` under `path`."""
    return f"{path}.{key}" if path else key


def resolved(raw: object) -> object:
    """A Plain as YAML 1.2 understands it by itself: nothing, a boolean, a number or text. Anything else as it is."""
    if type(raw) is not Plain:
        return raw
    text = str(raw)
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > SHOWN_MAX:  # no number is that long, and Python refuses to read one of 4,300 digits
        return text
    if _INT.fullmatch(text):
        digits = text.replace("_", "")
        octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
        return int(f"{octal[1]}0o{octal[2]}" if octal else digits, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def shown(raw: object) -> str:
    """`raw` for a sentence: its kind, and its value as far as it fits."""
    value = resolved(raw)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {raw}" if abs(value) < 1e60 else "a number that is too large"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= SHOWN_MAX else f"the text {value[:SHOWN_MAX]!r}..."
    return kind_of(value)


def kind_of(raw: object) -> str:
    """The kind of `raw` without its value, for what may be secret."""
    value = resolved(raw)
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        return "text"
    return "nothing" if value is None else "a number" if isinstance(value, int | float) else "something else"


def nearest(key: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that `key` is probably meant to be, or empty."""
    names = {name.lower(): name for name in known}
    close = get_close_matches(key.lower()[:SHOWN_MAX], names, n=1, cutoff=cutoff)
    return names[close[0]] if close else ""


def nanoseconds(text: str) -> int | None:
    """A Go duration (`1m30s`, `100ms`, `1.5h`, `0`) in nanoseconds; None when it is none, negative or too long."""
    if text == "0":
        return 0
    if len(text) > SHOWN_MAX or not _DURATION.fullmatch(text):
        return None
    total = sum(float(number) * _NS[unit] for number, unit in _DURATION_PART.findall(text))
    return round(total) if total <= DURATION_MAX_NS else None


def bytes_meant(text: str) -> int | None:
    """How many bytes somebody meant by `512m`; None when it does not look like a size."""
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _BYTES[match[2].lower()]) if match else None
