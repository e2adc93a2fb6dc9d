"""May a client have what it asks for? Pure answers by the `security` section.

They are due at once, so the SSH side asks here inside its callbacks and puts the answer into the event; the rows that
follow from it say the code. `why` is for the operator: what the user reads is the code's own sentence.
"""

from fnmatch import fnmatchcase
from typing import NamedTuple

from protocol import codes
from protocol.connection import ChannelRefusedBy
from protocol.session import Program, ProgramRefusedBy
from protocol.settings import Settings
from protocol.settings_security import CommandPolicy, Mode, NamePolicy, Security

ENV_VALUE_BYTES_MAX = 128 * 1024 - len("SSH_ORIGINAL_COMMAND=") - 1  # Linux's limit for one string of execve
PATTERN_BYTES_MAX = 16 * 1024  # a command that is longer has no prefix or shape that an allow list could mean
# Characters that make more of a string than one program and its arguments: outside of quotes, and within each kind.
FORBIDDEN = {"": frozenset(";&|<>()$`\\\n\r\0"), '"': frozenset("$`\\\0"), "'": frozenset("\0")}
# What each kind of forwarding is allowed by.
CHANNELS = {
    b"direct-tcpip": "forwarding_mode",
    b"direct-streamlocal@openssh.com": "socket_forwarding_mode",
    b"tun@openssh.com": "",
}
LISTENERS = {
    b"tcpip-forward": "reverse_forwarding_mode",
    b"streamlocal-forward@openssh.com": "socket_listen_mode",
}
SENTENCES = {
    b"direct-streamlocal@openssh.com": "StreamLocal forwarding is rejected",
    b"streamlocal-forward@openssh.com": "Reverse socket forwarding is rejected",
}


class ChannelRefusal(NamedTuple):
    """Why a channel or a global request is refused; an empty `why` is a yes."""

    why: str = ""
    by: ChannelRefusedBy = ""


class ProgramRefusal(NamedTuple):
    """Why a program is refused; an empty `why` is a yes."""

    why: str = ""
    by: ProgramRefusedBy = ""


def env_refusal(security: Security, name: str) -> str:
    return _by_name(security, security.env, "env", name)


def signal_refusal(security: Security, name: str) -> str:
    return _by_name(security, security.signal, "signal", name)


def tty_refusal(security: Security) -> str:
    return _by_switch(security, security.tty.mode, "tty")


def program_refusal(settings: Settings, program: Program, wanted: bytes) -> ProgramRefusal:
    """`wanted`: the command as it was sent, or the subsystem's name."""
    security = settings.security
    match program:
        case "shell":
            why = _by_switch(security, security.shell.mode, "shell")
        case "subsystem":
            why = _by_name(security, security.subsystem, "subsystem", wanted.decode("ascii", "replace"))
        case _:
            if settings.backend == "dockerrun" and settings.dockerrun.config.disable_command:
                return ProgramRefusal("dockerrun.config.disableCommand", "dockerrun")
            why = command_refusal(security, wanted)
    return ProgramRefusal(why, "security" if why else "")


def command_refusal(security: Security, command: bytes) -> str:
    """Deny lists come first in every mode. Bytes that are not UTF-8 are in no list of what is allowed."""
    policy, mode = security.command, _mode(security, security.command.mode)
    text = command.decode("utf-8", "surrogateescape")
    if mode == "disable":
        return "security.command.mode is disable"
    if _is_denied(policy, text):
        return "the command is in one of security.command's lists of what is denied"
    if mode == "filter" and not _is_allowed(policy, text):
        return "the command is in none of security.command's lists of what is allowed"
    return ""


def original_command_refusal(wanted: bytes) -> str:
    """A forced command must see what was asked for as it was, or nothing runs."""
    if len(wanted) > ENV_VALUE_BYTES_MAX or b"\0" in wanted:
        return "what was asked for is too long for SSH_ORIGINAL_COMMAND, or has a NUL byte"
    try:
        wanted.decode()
    except UnicodeDecodeError:
        return "what was asked for is not UTF-8 and cannot be put into SSH_ORIGINAL_COMMAND"
    return ""


def session_refusal(security: Security, open_sessions: int) -> ChannelRefusal:
    """`open_sessions`: those of this connection that are not closed yet."""
    if 0 <= security.max_sessions <= open_sessions:
        return ChannelRefusal(codes.SECURITY_MAX_SESSIONS.user, "max_sessions")
    return ChannelRefusal()


def forwarding_refusal(security: Security, what: bytes) -> ChannelRefusal:
    """`what`: a channel type or global request. Nothing is forwarded yet; the policy decides which words say so."""
    key = {**CHANNELS, **LISTENERS}.get(what)
    if key is None:
        return ChannelRefusal("this global request is not served here")
    if key and getattr(security.forwarding, key) == "enable":
        return ChannelRefusal("Forwarding is allowed here, but not served yet")
    if what in LISTENERS:
        return ChannelRefusal(
            SENTENCES.get(what, codes.SECURITY_REVERSE_FORWARDING_REJECTED.user), "reverse_forwarding"
        )
    return ChannelRefusal(SENTENCES.get(what, codes.SECURITY_FORWARDING_REJECTED.user), "forwarding")


def x11_refusal(security: Security) -> str:
    return "" if security.forwarding.x11_forwarding_mode == "enable" else "security.forwarding.x11ForwardingMode"


def is_plain(text: str) -> bool:
    """No shell operator and no expansion that is not quoted: it is one program and its arguments."""
    quote = ""
    for character in text:
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character in FORBIDDEN[quote]:
            return False
    return not quote


def _mode(security: Security, own: Mode) -> str:
    return own or security.default_mode or "enable"


def _by_switch(security: Security, own: Mode, key: str) -> str:
    mode = _mode(security, own)
    return "" if mode == "enable" else f"security.{key}.mode is {mode}"


def _by_name(security: Security, policy: NamePolicy, key: str, name: str) -> str:
    mode = _mode(security, policy.mode)
    if mode == "disable":
        return f"security.{key}.mode is disable"
    if name in policy.deny:
        return f"it is in security.{key}.deny"
    if mode == "filter" and name not in policy.allow:
        return f"it is not in security.{key}.allow"
    return ""


def _is_denied(policy: CommandPolicy, text: str) -> bool:
    return (
        text in policy.deny
        or text.startswith(policy.deny_prefixes)
        or any(fnmatchcase(text, pattern) for pattern in policy.deny_patterns)
    )


def _is_allowed(policy: CommandPolicy, text: str) -> bool:
    if text in policy.allow:
        return True
    if len(text) > PATTERN_BYTES_MAX or not is_plain(text):
        return False
    return any(text == prefix or text.startswith(_word(prefix)) for prefix in policy.allow_prefixes) or any(
        fnmatchcase(text, pattern) for pattern in policy.allow_patterns
    )


def _word(prefix: str) -> str:
    return prefix if prefix.endswith(" ") else prefix + " "
