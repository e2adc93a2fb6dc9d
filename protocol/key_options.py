"""A line of `authorized_keys`: its options and its key, as sshd(8) reads them. Pure text; no key is decoded here.

An option that is not known makes the line useless, because what it should have forbidden would be allowed without it.
"""

import re

from msgspec import Struct

LINE_CHARS_MAX = 64 * 1024
_KEY_TYPE = re.compile(r"(?:ssh-|ecdsa-|sk-)[a-zA-Z0-9@.-]+")
_NAME = re.compile(r"[a-z0-9-]+", re.IGNORECASE)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TIME = re.compile(r"([0-9]{8})([0-9]{4})?([0-9]{2})?(Z?)")
# What may be allowed and forbidden again, in the order of the line; `restrict` forbids all of them.
_SWITCHES = {
    "pty": "pty",
    "port-forwarding": "port_forwarding",
    "agent-forwarding": "agent_forwarding",
    "x11-forwarding": "x11_forwarding",
    "user-rc": "user_rc",
}


class KeyOptions(Struct, frozen=True, kw_only=True):
    """`hosts` is `from=`; `expires` has fourteen digits and perhaps a Z; None: not given."""

    authority: bool = False
    principals: tuple[str, ...] | None = None
    hosts: tuple[str, ...] = ()
    expires: tuple[str, ...] = ()
    command: str | None = None
    environment: dict[str, str] = {}
    permit_open: tuple[str, ...] = ()
    permit_listen: tuple[str, ...] = ()
    touch: bool = True
    pty: bool = True
    port_forwarding: bool = True
    agent_forwarding: bool = True
    x11_forwarding: bool = True
    user_rc: bool = True

    def is_expired(self, local: str, utc: str) -> bool:
        """`local` and `utc` are now, as fourteen digits."""
        return any((utc > time[:-1]) if time.endswith("Z") else (local > time) for time in self.expires)


class KeyLine(Struct, frozen=True):
    options: KeyOptions
    key: str  # type, base64 and comment


def wanted_lines(text: str) -> list[tuple[int, str]]:
    """(number, line) of those that are neither empty nor a comment."""
    lines = ((number, line.strip()) for number, line in enumerate(re.split(r"\r?\n", text), 1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def read_line(line: str) -> KeyLine:
    """Raises ValueError with a sentence."""
    if len(line) > LINE_CHARS_MAX:
        raise ValueError(f"the line has more than {LINE_CHARS_MAX} characters")
    line = line.strip()
    first, _, rest = line.partition(" ")
    if _KEY_TYPE.fullmatch(first) and rest.strip():
        return KeyLine(KeyOptions(), line)
    end = _options_end(line)
    key = line[end:].strip()
    if not _KEY_TYPE.fullmatch(key.partition(" ")[0]):
        raise ValueError("this is not a public key line")
    return KeyLine(read_options(line[:end]), key)


def _options_end(line: str) -> int:
    """Where the first blank outside quotes is."""
    quoted = False
    for place, character in enumerate(line):
        if character == '"' and (place == 0 or line[place - 1] != "\\"):
            quoted = not quoted
        elif character in " \t" and not quoted:
            return place
    return len(line)


def read_options(text: str) -> KeyOptions:
    """Raises ValueError with a sentence."""
    given: dict[str, object] = {}
    environment: dict[str, str] = {}
    expires: list[str] = []
    opens: dict[str, list[str]] = {"permit_open": [], "permit_listen": []}
    for name, value in _items(text):
        if value is None:
            _switch(name, given)
        elif name == "environment":
            variable, content = _variable(value)
            environment.setdefault(variable, content)
        elif name == "expiry-time":
            expires.append(_time(value))
        elif name in ("permitopen", "permitlisten"):
            opens[name.replace("permit", "permit_")].append(value)
        elif name == "tunnel":
            continue  # there are no tunnels here
        else:
            field = {"command": "command", "from": "hosts", "principals": "principals"}.get(name)
            if field is None:
                raise ValueError(f"the option {name!r} is not kept to here; the key would be let in without it")
            if field in given:
                raise ValueError(f"the option {name!r} stands in it twice")
            given[field] = value if field == "command" else _names(name, value)
    lists = {name: tuple(values) for name, values in opens.items()}
    return KeyOptions(**given, **lists, environment=environment, expires=tuple(expires))  # type: ignore[arg-type]


def _switch(name: str, given: dict[str, object]) -> None:
    field = _SWITCHES.get(name.removeprefix("no-"))
    if field:
        given[field] = not name.startswith("no-")
    elif name == "restrict":
        given.update(dict.fromkeys(_SWITCHES.values(), False))
    elif name == "cert-authority":
        given["authority"] = True
    elif name == "no-touch-required":
        given["touch"] = False
    elif name in ("command", "environment", "from", "principals", "expiry-time", "permitopen", "permitlisten"):
        raise ValueError(f"the option {name!r} wants a value in double quotes")
    else:
        raise ValueError(f"the option {name!r} is not kept to here; the key would be let in without it")


def _items(text: str) -> list[tuple[str, str | None]]:
    """`name` or `name="value"`, with commas between; inside the quotes `\\"` is a quote and all else itself."""
    found: list[tuple[str, str | None]] = []
    place = 0
    while True:
        name = _NAME.match(text, place)
        if name is None:
            raise ValueError("the options are not names with commas between them")
        place, value = name.end(), None
        if text[place : place + 1] == "=":
            value, place = _quoted(text, place + 1)
        found.append((name[0].lower(), value))
        if place == len(text):
            return found
        if text[place] != ",":
            raise ValueError("the options are not names with commas between them")
        place += 1


def _quoted(text: str, place: int) -> tuple[str, int]:
    if text[place : place + 1] != '"':
        raise ValueError("an option's value stands in double quotes")
    end = place + 1
    while (end := text.find('"', end)) >= 0 and text[end - 1] == "\\":
        end += 1
    if end < 0:
        raise ValueError("an option's value has no closing quote")
    return text[place + 1 : end].replace('\\"', '"'), end + 1


def _names(option: str, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise ValueError(f"the option {option!r} holds an empty name")
    return names


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not _ENV_NAME.fullmatch(name) or "\0" in value:
        raise ValueError("environment= wants NAME=value")
    return name, value


def _time(text: str) -> str:
    """YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z for UTC."""
    match = _TIME.fullmatch(text)
    if match is None or not _is_time(match[1], match[2] or "0000", match[3] or "00"):
        raise ValueError(f"expiry-time= wants YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, perhaps a Z: {text[:30]!r}")
    return match[1] + (match[2] or "0000") + (match[3] or "00") + match[4]


def _is_time(day: str, minute: str, second: str) -> bool:
    month, date = int(day[4:6]), int(day[6:])
    days = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    is_day = 1 <= month <= 12 and 1 <= date <= days[month - 1]
    return is_day and int(minute[:2]) < 24 and int(minute[2:]) < 60 and int(second) < 60
