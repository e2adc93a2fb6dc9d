"""A session channel: the client's requests become events, the session actor's wishes become packets.

The answer to a request is due at once, so the small decisions (may this be taken?) are made here by the functions of
`requests.py` and recorded in the event; what follows from it is the machine's.
"""

import hashlib
from collections.abc import Callable, Mapping

from asyncssh.constants import EXTENDED_DATA_STDERR
from asyncssh.packet import PacketDecodeError, SSHPacket

from actors.ports import SessionPort
from actors.ssh import requests
from actors.ssh.overrides import Caller, Wire
from actors.ssh.text import escaped
from fsm import policy
from protocol.session import (
    ChannelClosed,
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


class Session(Caller):
    """Implements `ports.Channel`. `port` is set right after the actor is there, before anything can arrive."""

    port: SessionPort
    granted: Mapping[str, str] = {}  # variables that the login has brought

    def __init__(self, wire: Wire, settings: Settings) -> None:
        self._wire = wire
        self._settings = settings
        self._has_pty = False
        self._has_program = False
        self._closed = False
        self._when_sent: list[Callable[[], None]] = []

    # ports.Channel: what the actor and the pump ask for.

    def write(self, data: bytes | memoryview, stderr: bool) -> None:
        """After our EOF or the channel's end it goes nowhere, and that is no error: the program need not know."""
        if not self._wire.is_closing():
            self._wire.write(data, EXTENDED_DATA_STDERR if stderr else None)

    def write_eof(self) -> None:
        self.notify_when_sent(self._wire.write_eof)

    def exit_status(self, status: int) -> None:
        self.notify_when_sent(lambda: self._wire.send_exit_status(status))

    def exit_signal(self, name: str, core: bool, message: str) -> None:
        self.notify_when_sent(lambda: self._wire.send_exit_signal(name, core, message))

    def close(self) -> None:
        self.notify_when_sent(self._wire.close)

    def abort(self) -> None:
        self._when_sent.clear()
        self._wire.abort()
        self._end("")

    def pause_input(self) -> None:
        self._wire.pause_reading()

    def resume_input(self) -> None:
        if not self._closed:  # asyncssh would deliver what it still holds to nobody, and says that this cannot be
            self._wire.resume_reading()

    def unsent_bytes(self) -> int:
        return self._wire.get_write_buffer_size()

    def notify_when_sent(self, callback: Callable[[], None]) -> None:
        """The callbacks run in the order of asking: EOF, status and close behind the last byte, whoever is slow."""
        self._when_sent.append(callback)
        self.drained()

    # What arrives (called by `Wire`).

    def data_received(self, data: bytes | memoryview, datatype: int | None) -> None:
        self.port.pump.input(data)

    def eof_received(self) -> bool:
        self.port.pump.input_ended()
        return True  # a half-close: our own direction stays open

    def pause_writing(self) -> None:
        self.port.pump.pause_output()

    def resume_writing(self) -> None:
        self.port.pump.resume_output()

    def drained(self) -> None:
        while self._when_sent and self.unsent_bytes() == 0:
            self._when_sent.pop(0)()

    def closed(self, error: Exception | None) -> None:
        self.drained()
        self._end(str(error) if error else "")

    def _end(self, why: str) -> None:
        if self._closed:
            return
        self._closed = True
        self.port.pump.resume_output()  # nobody is slow any more: let the program write into nothing until it is told
        self.port.post(ChannelClosed(why=why))

    def requested(self, request: bytes, packet: SSHPacket) -> bool:
        answer = ANSWERS.get(request)
        if request == b"keepalive@openssh.com":
            return False  # any answer will do, and this is sshd's
        if answer is None:
            return self._odd(request, "this request is not served here")
        try:
            return answer(self, packet)
        except PacketDecodeError as error:
            return self._odd(request, f"malformed: {error}")

    def _odd(self, request: bytes, why: str) -> bool:
        self.port.offer(OddRequest(what=escaped(request, NAME_CHARS_MAX), why=why))
        return False

    def _env(self, packet: SSHPacket) -> bool:
        name, value = packet.get_string(), packet.get_string()
        packet.check_end()
        if self._has_program:
            return self._odd(b"env", "too late: there is a program already")
        refused_by: RefusedBy = ""
        why = requests.env_refusal(self.port.vault.env, name, value)
        if not why and (why := policy.env_refusal(self._settings.security, name.decode())):
            refused_by = "security"
        shown = escaped(name, NAME_CHARS_MAX)
        heard = self.port.offer(EnvOffered(name=shown, taken=not why, why=why, refused_by=refused_by))
        if why or not heard:
            return False
        self.port.vault.env[name.decode()] = value.decode()
        return True

    def _pty(self, packet: SSHPacket) -> bool:
        term = packet.get_string()
        size = requests.size(packet.get_uint32(), packet.get_uint32())
        packet.get_uint32(), packet.get_uint32()  # pixels
        modes = packet.get_string()
        packet.check_end()
        if self._has_pty or self._has_program:
            return self._odd(b"pty-req", "too late: there is a terminal or a program already")
        if not self._wire.rights.pty:
            return self._odd(b"pty-req", "this key may not have a terminal")
        if why := requests.term_refusal(term):
            return self._odd(b"pty-req", why)
        if why := policy.tty_refusal(self._settings.security):
            self.port.offer(PtyWanted(term=term.decode(), size=size, why=why, refused_by="security"))
            return False
        self._has_pty = True
        self.port.vault.term, self.port.vault.modes = term.decode(), modes
        self.port.post(PtyWanted(term=term.decode(), size=size))
        return True

    def _window(self, packet: SSHPacket) -> bool:
        size = requests.size(packet.get_uint32(), packet.get_uint32())
        packet.get_uint32(), packet.get_uint32()
        packet.check_end()
        if not self._has_pty:
            return self._odd(b"window-change", "there is no terminal")
        return self.port.offer(WindowChanged(size=size))

    def _signal(self, packet: SSHPacket) -> bool:
        name = packet.get_string()
        packet.check_end()
        if name not in requests.SIGNALS:
            return self._odd(b"signal", f"{escaped(name, NAME_CHARS_MAX)} is not a signal of RFC 4254")
        if why := policy.signal_refusal(self._settings.security, name.decode()):
            self.port.offer(SignalWanted(signal=name.decode(), why=why, refused_by="security"))
            return False
        return self.port.offer(SignalWanted(signal=name.decode()))

    def _x11(self, packet: SSHPacket) -> bool:
        if why := policy.x11_refusal(self._settings.security):
            self.port.offer(OddRequest(what="x11-req", why=why, refused_by="security"))
            return False
        return self._odd(b"x11-req", "X11 forwarding is allowed here, but not served yet")

    def _shell(self, packet: SSHPacket) -> bool:
        packet.check_end()
        return self._start("shell", b"", "")

    def _exec(self, packet: SSHPacket) -> bool:
        command = packet.get_string()
        packet.check_end()
        return self._start("exec", command, requests.command_refusal(command))

    def _subsystem(self, packet: SSHPacket) -> bool:
        name = packet.get_string()
        packet.check_end()
        known = self._settings.docker.execution.subsystems
        return self._start("subsystem", name, requests.subsystem_refusal(known, name))

    def _start(self, program: Program, wanted: bytes, why: str) -> bool:
        """The yes is given even when `why` says no: only then has the client ears for the sentence and the status."""
        if self._has_program:
            why = "there is a program already; one channel has one"
            self.port.offer(ProgramWanted(program=program, admitted=False, why=why))
            return False
        self._has_program = True
        self.port.vault.env.update(self.granted)  # over what the client sent under the same names
        refusal = policy.program_refusal(self._settings, program, wanted)
        forced = self._forced()
        if not refusal.why and forced is not None:
            if original := policy.original_command_refusal(wanted):
                refusal = policy.ProgramRefusal(original, "environment")
            else:
                self._force(wanted)
                program, wanted, why = "exec", forced.encode(), ""
        why = refusal.why or why
        if program == "subsystem":
            self.port.vault.subsystem = wanted.decode("ascii", "replace")
            shown = escaped(wanted, NAME_CHARS_MAX)
        else:
            self.port.vault.command = wanted
            shown = self._shown(wanted)
        self.port.post(ProgramWanted(program=program, command=shown, admitted=not why, why=why, refused_by=refusal.by))
        return True

    def _forced(self) -> str | None:
        """The program that runs whatever is asked for: the server's own word goes before that of a key's line."""
        return self._settings.security.force_command or self._wire.rights.forced_command

    def _force(self, wanted: bytes) -> None:
        """What the client itself has sent under that name is no word of ours and must not be taken for one."""
        self.port.vault.env.pop(ORIGINAL, None)
        if wanted:
            self.port.vault.env[ORIGINAL] = wanted.decode()
        by_settings = self._settings.security.force_command != ""
        self.port.post(CommandForced(origin="security.forceCommand" if by_settings else "key"))

    def _shown(self, command: bytes) -> str:
        if command and self._settings.record.commands == "hash":
            return "sha256:" + hashlib.sha256(command).hexdigest()
        return escaped(command, COMMAND_CHARS_MAX)


ANSWERS: dict[bytes, Callable[[Session, SSHPacket], bool]] = {
    b"env": Session._env,
    b"pty-req": Session._pty,
    b"window-change": Session._window,
    b"signal": Session._signal,
    b"x11-req": Session._x11,
    b"shell": Session._shell,
    b"exec": Session._exec,
    b"subsystem": Session._subsystem,
}
