"""What the `security` section lets a client have: each mode with each list, and what a shell could make of a string."""

import subprocess
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from fsm import policy
from protocol.settings import Settings
from protocol.settings_security import Security


def security(**keys: Any) -> Security:
    return msgspec.convert(keys, Security)


def settings(**keys: Any) -> Settings:
    return msgspec.convert({"security": keys}, Settings)


NAMED = {
    "env": policy.env_refusal,
    "signal": policy.signal_refusal,
    "subsystem": lambda of, name: policy.program_refusal(Settings(security=of), "subsystem", name.encode()).why,
    "command": lambda of, name: policy.command_refusal(of, name.encode()),
}
SWITCHES = {
    "tty": policy.tty_refusal,
    "shell": lambda of: policy.program_refusal(Settings(security=of), "shell", b"").why,
}


@pytest.mark.parametrize("key", NAMED)
@pytest.mark.parametrize(
    ("mode", "default", "taken"),
    [
        ("", "", "AC"),
        ("enable", "", "AC"),
        ("enable", "disable", "AC"),
        ("filter", "", "A"),
        ("", "filter", "A"),
        ("disable", "", ""),
        ("", "disable", ""),
        ("", "enable", "AC"),
    ],
)
def test_names_in_each_mode(key: str, mode: str, default: str, taken: str) -> None:
    """A is allowed, B is allowed and denied, C is in no list, D is denied."""
    rules = security(defaultMode=default, **{key: {"mode": mode, "allow": ["A", "B"], "deny": ["B", "D"]}})
    assert "".join(name for name in "ABCD" if not NAMED[key](rules, name)) == taken


@pytest.mark.parametrize("key", NAMED)
def test_the_reason_names_the_key(key: str) -> None:
    for mode, words in (("disable", "disable"), ("filter", "allow"), ("enable", "den")):
        why = NAMED[key](security(**{key: {"mode": mode, "deny": ["X"] if mode == "enable" else []}}), "X")
        assert f"security.{key}" in why and words in why


@pytest.mark.parametrize("key", SWITCHES)
@pytest.mark.parametrize(
    ("mode", "default", "taken"),
    [("", "", True), ("enable", "disable", True), ("filter", "", False), ("disable", "enable", False)],
)
def test_switches_in_each_mode(key: str, mode: str, default: str, taken: bool) -> None:
    assert (SWITCHES[key](security(defaultMode=default, **{key: {"mode": mode}})) == "") == taken


def test_a_signal_is_not_ruled_by_the_shells_mode() -> None:
    assert policy.signal_refusal(security(shell={"mode": "disable"}), "TERM") == ""
    assert policy.signal_refusal(security(signal={"mode": "disable"}), "TERM")


def test_who_refused() -> None:
    rules = settings(command={"mode": "disable"}, shell={"mode": "disable"}, subsystem={"mode": "disable"})
    for program in ("exec", "shell", "subsystem"):
        assert policy.program_refusal(rules, program, b"x").by == "security"
        assert policy.program_refusal(Settings(), program, b"x") == ("", "")


def test_the_old_disable_command_is_for_commands_of_that_backend_only() -> None:
    config = {"config": {"disableCommand": True}}
    old = msgspec.convert({"backend": "dockerrun", "dockerrun": config}, Settings)
    assert policy.program_refusal(old, "exec", b"x").by == "dockerrun"
    assert policy.program_refusal(old, "shell", b"") == ("", "")
    assert policy.program_refusal(old, "subsystem", b"sftp") == ("", "")
    assert policy.program_refusal(msgspec.convert({"dockerrun": config}, Settings), "exec", b"x") == ("", "")


ALLOW = security(
    command={
        "mode": "filter",
        "allow": ["a; b", "café"],
        "allowPrefixes": ["git-upload-pack", "rsync --server "],
        "allowPatterns": ["make [a-c]*", "say ?"],
    }
)


@pytest.mark.parametrize(
    "command",
    [
        "a; b",
        "café",
        "git-upload-pack",
        "git-upload-pack '/srv/my repo; x.git'",
        "rsync --server -x",
        "make all",
        "say x",
    ],
)
def test_commands_that_are_allowed(command: str) -> None:
    assert policy.command_refusal(ALLOW, command.encode()) == ""


@pytest.mark.parametrize(
    "command",
    [
        "",
        " ",
        "a; b ",
        "a;  b",
        "git-upload-packs",
        "git-upload-pack x; id",
        "git-upload-pack x && id",
        "git-upload-pack x | id",
        "git-upload-pack x & id",
        "git-upload-pack x\nid",
        "git-upload-pack x\rid",
        "git-upload-pack $(id)",
        "git-upload-pack `id`",
        "git-upload-pack x > /etc/passwd",
        "git-upload-pack x < /etc/passwd",
        'git-upload-pack "$(id)"',
        "git-upload-pack 'x' $(id) 'y'",
        "git-upload-pack 'x",
        "git-upload-pack \\'; id \\'",
        "git-upload-pack ''; id ''",
        "git-upload-pack 'a\0b'",
        "make all; id",
        "make dance",
        "say xy",
        "make a" + "a" * policy.PATTERN_BYTES_MAX,
    ],
)
def test_commands_that_are_not_allowed(command: str) -> None:
    assert policy.command_refusal(ALLOW, command.encode())


def test_bytes_that_are_no_text_are_in_no_list_but_may_be_denied() -> None:
    assert policy.command_refusal(ALLOW, b"caf\xe9")
    deny = security(command={"denyPrefixes": ["rm "], "denyPatterns": ["*secret*"]})
    assert policy.command_refusal(deny, b"rm \xff")
    assert policy.command_refusal(deny, b"\xff secret \xff")
    assert policy.command_refusal(deny, b"\xff") == ""


def test_deny_lists_hold_in_every_mode() -> None:
    lists = {"deny": ["id"], "denyPrefixes": ["rm "], "denyPatterns": ["*/etc/*"]}
    for mode in ("", "enable", "filter"):
        rules = security(command={"mode": mode, "allow": ["id", "rm x", "cat /etc/x", "ok"], **lists})
        refused = [
            command for command in ("id", "rm x", "cat /etc/x", "ok") if policy.command_refusal(rules, command.encode())
        ]
        assert refused == ["id", "rm x", "cat /etc/x"]


@given(st.text(alphabet="i '\";&|<>()$`\\\n#*{}~=!-", max_size=24))
@settings_of_hypothesis(max_examples=400, deadline=None)
def test_a_shell_makes_of_a_plain_string_one_program_and_its_arguments(text: str) -> None:
    """`i` is what must not run. The real shell is the judge."""
    if policy.is_plain(text):
        script = f"set -f; i() {{ echo ran; }}; p() {{ :; }}; p {text}"
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, env={"PATH": ""})
        assert done.stdout == b""


@pytest.mark.parametrize("text", ["a 'b;c' d", 'a "b;c" d', 'a "it\'s; b"', "", "a#b"])
def test_plain_strings(text: str) -> None:
    assert policy.is_plain(text)


@pytest.mark.parametrize(
    "text", ['a "\'" ; i "\'"', "a '\"' ; i '\"'", 'a "$(i)"', 'a "`i`"', 'a "\\" ; i "', "a 'b", 'a "b']
)
def test_strings_that_are_not_plain(text: str) -> None:
    assert not policy.is_plain(text)


def test_a_pattern_of_many_stars_has_an_end() -> None:
    rules = security(command={"mode": "filter", "allowPatterns": ["*a" * 500], "denyPatterns": ["*b" * 500]})
    assert policy.command_refusal(rules, b"a" * policy.PATTERN_BYTES_MAX) == ""
    assert policy.command_refusal(rules, b"a" * 400)


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [(b"echo hi", True), (b"", True), ("é".encode(), True), (b"\xff", False), (b"a\0b", False)],
)
def test_what_a_forced_command_can_be_told(wanted: bytes, taken: bool) -> None:
    assert (policy.original_command_refusal(wanted) == "") == taken


def test_the_longest_original_command() -> None:
    assert policy.original_command_refusal(b"x" * policy.ENV_VALUE_BYTES_MAX) == ""
    assert policy.original_command_refusal(b"x" * (policy.ENV_VALUE_BYTES_MAX + 1))


@pytest.mark.parametrize(
    ("most", "open_", "why"),
    [(-1, 1000, ""), (0, 0, "max_sessions"), (1, 0, ""), (1, 1, "max_sessions"), (3, 2, ""), (3, 4, "max_sessions")],
)
def test_sessions_at_a_time(most: int, open_: int, why: str) -> None:
    assert policy.session_refusal(security(maxSessions=most), open_).by == why


@pytest.mark.parametrize(
    ("what", "key", "by", "words"),
    [
        (b"direct-tcpip", "forwardingMode", "forwarding", "Forwarding is rejected"),
        (
            b"direct-streamlocal@openssh.com",
            "socketForwardingMode",
            "forwarding",
            "StreamLocal forwarding is rejected",
        ),
        (b"tcpip-forward", "reverseForwardingMode", "reverse_forwarding", "Reverse forwarding is rejected"),
        (
            b"streamlocal-forward@openssh.com",
            "socketListenMode",
            "reverse_forwarding",
            "Reverse socket forwarding is rejected",
        ),
    ],
)
def test_forwarding(what: bytes, key: str, by: str, words: str) -> None:
    for mode in ("disable", "filter"):
        assert policy.forwarding_refusal(security(defaultMode="enable", forwarding={key: mode}), what) == (words, by)
    assert policy.forwarding_refusal(security(defaultMode="enable"), what) == (words, by)
    allowed = policy.forwarding_refusal(security(forwarding={key: "enable"}), what)
    assert "not served yet" in allowed.why and allowed.by == ""


def test_what_is_no_forwarding() -> None:
    assert policy.forwarding_refusal(Security(), b"tun@openssh.com").by == "forwarding"
    assert policy.forwarding_refusal(Security(), b"x@y") == ("this global request is not served here", "")


def test_x11() -> None:
    for mode in ("disable", "filter"):
        assert policy.x11_refusal(security(defaultMode="enable", forwarding={"x11ForwardingMode": mode}))
    assert policy.x11_refusal(security(forwarding={"x11ForwardingMode": "enable"})) == ""
