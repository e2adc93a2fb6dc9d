"""May this be had? What a session channel asks for is answered at once, and what follows from it is the machine's.

The functions are pure; an empty sentence is a yes. No library is named here.
"""

import hashlib
import re
from collections.abc import Container, Mapping

from actors.login import Grant
from actors.ports import SessionPort
from actors.ssh.text import escaped
from fsm import policy
from protocol.base import Size
from protocol.session import (
    CommandForced,
    EnvOffered,
    OddRequest,
    Program,
    ProgramWanted,
    PtyWanted,
    RefusedBy,
    SignalWanted,
    WindowChanged,
)
from protocol.settings import Settings

COMMAND_CHARS_MAX = 4096  # of an event
NAME_CHARS_MAX = 256
ORIGINAL = "SSH_ORIGINAL_COMMAND"

ENV_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
ENV_NAME_BYTES_MAX = 256
ENV_VALUE_BYTES_MAX = 64 * 1024
ENV_COUNT_MAX = 256
ENV_BYTES_MAX = 256 * 1024
TERM_BYTES_MAX = 256
COMMAND_BYTES_MAX = 2 * 1024 * 1024
CELLS_MAX = 65535  # the kernel's struct winsize has 16 bits
SIGNALS = frozenset(b"ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2".split())  # RFC 4254 section 6.10


class Requests:
    """The requests of one session channel, in the order in which they came; each is told to `port`, the session actor.

    A method's answer is the yes or no for the client.
    """

    def __init__(self, port: SessionPort, settings: Settings, grant: Grant) -> None:
        self._port, self._settings, self._rights = port, settings, grant.rights
        self._granted = environment(grant, settings)
        self._has_pty = False
        self._has_program = False

    def odd(self, request: bytes, why: str) -> bool:
        """One that is not taken, and why."""
        self._port.offer(OddRequest(what=escaped(request, NAME_CHARS_MAX), why=why))
        return False

    def env(self, name: bytes, value: bytes) -> bool:
        if self._has_program:
            return self.odd(b"env", "too late: there is a program already")
        refused_by: RefusedBy = ""
        why = env_refusal(self._port.vault.env, name, value)
        if not why and (why := policy.env_refusal(self._settings.security, name.decode())):
            refused_by = "security"
        shown = escaped(name, NAME_CHARS_MAX)
        heard = self._port.offer(EnvOffered(name=shown, taken=not why, why=why, refused_by=refused_by))
        if why or not heard:
            return False
        self._port.vault.env[name.decode()] = value.decode()
        return True

    def pty(self, term: bytes, columns: int, rows: int, modes: bytes) -> bool:
        if self._has_pty or self._has_program:
            return self.odd(b"pty-req", "too late: there is a terminal or a program already")
        if not self._rights.pty:
            return self.odd(b"pty-req", "this key may not have a terminal")
        if why := term_refusal(term):
            return self.odd(b"pty-req", why)
        wanted = size(columns, rows)
        if why := policy.tty_refusal(self._settings.security):
            self._port.offer(PtyWanted(term=term.decode(), size=wanted, why=why, refused_by="security"))
            return False
        self._has_pty = True
        self._port.vault.term, self._port.vault.modes = term.decode(), modes
        self._port.post(PtyWanted(term=term.decode(), size=wanted))
        return True

    def window(self, columns: int, rows: int) -> bool:
        if not self._has_pty:
            return self.odd(b"window-change", "there is no terminal")
        return self._port.offer(WindowChanged(size=size(columns, rows)))

    def signal(self, name: bytes) -> bool:
        if name not in SIGNALS:
            return self.odd(b"signal", f"{escaped(name, NAME_CHARS_MAX)} is not a signal of RFC 4254")
        if why := policy.signal_refusal(self._settings.security, name.decode()):
            self._port.offer(SignalWanted(signal=name.decode(), why=why, refused_by="security"))
            return False
        return self._port.offer(SignalWanted(signal=name.decode()))

    def x11(self) -> bool:
        if why := policy.x11_refusal(self._settings.security):
            self._port.offer(OddRequest(what="x11-req", why=why, refused_by="security"))
            return False
        return self.odd(b"x11-req", "X11 forwarding is allowed here, but not served yet")

    def start(self, program: Program, wanted: bytes) -> bool:
        """`wanted`: the command or the subsystem's name. A program that may not run is answered with yes too: only then
        has the client ears for the sentence and the status."""
        if self._has_program:
            why = "there is a program already; one channel has one"
            self._port.offer(ProgramWanted(program=program, admitted=False, why=why))
            return False
        self._has_program = True
        vault = self._port.vault
        vault.env.update(self._granted)  # over what the client sent under the same names
        why = self._flaw(program, wanted)
        refusal = policy.program_refusal(self._settings, program, wanted)
        forced = self._settings.security.force_command or self._rights.forced_command
        if not refusal.why and forced is not None:
            if original := policy.original_command_refusal(wanted):
                refusal = policy.ProgramRefusal(original, "environment")
            else:
                self._force(wanted)
                program, wanted, why = "exec", forced.encode(), ""
        why = refusal.why or why
        if program == "subsystem":
            vault.subsystem = wanted.decode("ascii", "replace")
            shown = escaped(wanted, NAME_CHARS_MAX)
        else:
            vault.command = wanted
            shown = self._shown(wanted)
        self._port.post(ProgramWanted(program=program, command=shown, admitted=not why, why=why, refused_by=refusal.by))
        return True

    def _flaw(self, program: Program, wanted: bytes) -> str:
        match program:
            case "exec":
                return command_refusal(wanted)
            case "subsystem":
                return subsystem_refusal(self._settings.docker.execution.subsystems, wanted)
        return ""

    def _force(self, wanted: bytes) -> None:
        """What the client itself has sent under that name is no word of ours and must not be taken for one."""
        self._port.vault.env.pop(ORIGINAL, None)
        if wanted:
            self._port.vault.env[ORIGINAL] = wanted.decode()
        by_settings = self._settings.security.force_command != ""
        self._port.post(CommandForced(origin="security.forceCommand" if by_settings else "key"))

    def _shown(self, command: bytes) -> str:
        if command and self._settings.record.commands == "hash":
            return "sha256:" + hashlib.sha256(command).hexdigest()
        return escaped(command, COMMAND_CHARS_MAX)


def environment(grant: Grant, settings: Settings) -> dict[str, str]:
    """The variables that a login has brought for its programs. The key's own line has the last word."""
    exposed = grant.metadata if settings.docker.execution.expose_auth_metadata_as_env else {}
    values = {name: value.value for name, value in (*exposed.items(), *grant.environment.items())}
    values.update(grant.rights.environment)
    return {name: value for name, value in values.items() if not env_refusal({}, name.encode(), value.encode())}


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
