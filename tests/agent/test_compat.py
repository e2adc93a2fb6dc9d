"""The command line of ContainerSSH's agent: each mode's exit codes, and what is written where.

The expectations were compared with the original (agent/README.md says where ours differs and why).
"""

import os
import pwd
import signal
import subprocess
import time
from pathlib import Path

import pytest

from protocol.frame_types import SIGNALS
from tests.agent.guest import clean_env

USAGE = b"usage:\n"


def run(binary: Path, *words: str, stdin: bytes = b"", **env: str) -> "subprocess.CompletedProcess[bytes]":
    done = subprocess.run(
        [binary, *words], input=stdin, capture_output=True, env=clean_env() | env, check=False, timeout=20
    )
    assert b"Sanitizer" not in done.stderr, done.stderr
    return done


GONE = str(2**22 - 3)  # more than pid_max gives out here

# fmt: off
CODES = [
    # code, words, stdin, what stderr holds
    (1,   "",                                      b"",    b"not enough parameters"),
    (1,   "nonsense",                              b"",    b"invalid mode: nonsense"),
    (0,   "-h",                                    b"",    b""),
    (0,   "--help",                                b"",    b""),
    (1,   "console",                               b"",    b"no program"),
    (1,   "console --",                            b"",    b"no program"),
    (1,   "console --env",                         b"",    b"--env requires"),
    (1,   "console --env --wait -- true",          b"",    b"--env requires"),
    (1,   "console --env NAME -- true",            b"",    b"NAME=VALUE"),
    (1,   "console --bad -- true",                 b"",    b"invalid parameter: --bad"),
    (2,   "console --wait -- true",                b"",    b"stdin"),
    (2,   "console --wait -- true",                b"x",   b"first byte"),
    (0,   "console --wait -- /bin/true",           b"\0",  b""),
    (0,   "console --wait -- /bin/true",           b"\n",  b""),
    (127, "console -- /nowhere/program",           b"",    b"No such file"),
    (127, "console -- no-such-program",            b"",    b"No such file"),
    (127, "console -- /etc",                       b"",    b"Permission denied"),
    (0,   "console -- true",                       b"",    b""),
    (1,   "signal",                                b"",    b"missing required --pid"),
    (1,   "signal --pid",                          b"",    b"--pid requires"),
    (1,   "signal --pid 0 --signal TERM",          b"",    b"positive integer"),
    (1,   "signal --pid x --signal TERM",          b"",    b"positive integer"),
    (1,   "signal --pid 1x --signal TERM",         b"",    b"positive integer"),
    (1,   "signal --pid 3 --pid 3 --signal TERM",  b"",    b"duplicate"),
    (1,   "signal --pid 3",                        b"",    b"missing required --signal"),
    (1,   "signal --signal TERM",                  b"",    b"missing required --pid"),
    (1,   "signal --pid 3 --signal",               b"",    b"--signal requires"),
    (1,   "signal --pid 3 --signal SIGTERM",       b"",    b"unsupported signal: SIGTERM"),
    (1,   "signal --bad 3",                        b"",    b"unknown option: --bad"),
    (2,   f"signal --pid {GONE} --signal TERM",    b"",    b"process not found"),
    (2,   "signal --pid 99999999999 --signal TERM", b"",   b"process not found"),
    (1,   "wait-signal",                           b"",    b"missing required --signal"),
    (1,   "wait-signal --signal",                  b"",    b"--signal requires"),
    (1,   "wait-signal --message",                 b"",    b"--message requires"),
    (1,   "wait-signal --signal X",                b"",    b"unsupported signal: X"),
    (1,   "wait-signal --message a --message b --signal TERM", b"", b"duplicate"),
    (1,   "wait-signal --bad x",                   b"",    b"unknown option: --bad"),
    (1,   "write-file",                            b"",    b"no file"),
    (1,   "write-file /nowhere/file",              b"",    b"No such file"),
    (1,   "write-file /",                          b"",    b"directory"),
    (1,   "write-file /dev/full",                  b"x",   b"No space"),
    (1,   "serve --bad",                           b"",    b"serve takes"),
    (1,   "serve --hello-ms 0",                    b"",    b"positive number"),
    (1,   "serve --hello-ms 9x",                   b"",    b"positive number"),
    (4,   "serve --socket /nowhere/link.sock",     b"",    b"no link to the host"),
    (4,   "serve --socket /" + 120 * "x",          b"",    b"too long"),
]
# fmt: on


@pytest.mark.parametrize(("code", "words", "stdin", "said"), CODES)
def test_exit_codes(binary: Path, code: int, words: str, stdin: bytes, said: bytes) -> None:
    done = run(binary, *words.split(), stdin=stdin)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    told = code == 1 and not words.startswith("write-file /")
    assert done.stdout.startswith(USAGE) == (told or words in ("-h", "--help") or (code == 2 and "console" in words))


def test_console_replaces_itself(binary: Path) -> None:
    assert run(binary, "console", "--", "/bin/sh", "-c", "exit 7").returncode == 7
    assert run(binary, "console", "--", "sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
    assert run(binary, "console", "--", "sh", "-c", "echo $#-$1", "-", "--env").stdout == b"1---env\n"


def test_console_env_adds_and_replaces(binary: Path) -> None:
    words = ("--env", "A=new", "--env", "B=1", "--env", "B=2", "--", "env")
    lines = run(binary, "console", *words, A="old", AB="kept").stdout.decode().splitlines()
    assert sorted(it for it in lines if it.split("=")[0] in ("A", "AB", "B")) == ["A=new", "AB=kept", "B=2"]


def test_console_searches_the_path_of_the_program(binary: Path, tmp_path: Path) -> None:
    program = tmp_path / "mine"
    program.write_text("#!/bin/sh\necho found")
    words = ("--env", f"PATH=/nowhere:{tmp_path}:", "--", "mine")
    refused = run(binary, "console", *words)
    program.chmod(0o755)
    assert run(binary, "console", *words).stdout == b"found\n"
    assert (refused.returncode, refused.stderr) == (127, b"Permission denied")


def test_console_leaves_stdin_behind_the_first_byte(binary: Path) -> None:
    assert run(binary, "console", "--wait", "--", "cat", stdin=b"\0rest").stdout == b"rest"


def test_console_writes_the_pid_of_the_program(binary: Path) -> None:
    out = run(binary, "console", "--pid", "--", "sh", "-c", "echo $$").stdout
    assert int.from_bytes(out[:4], "little") == int(out[4:])


def test_console_that_cannot_write_the_pid(binary: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([binary, "console", "--pid", "--", "true"], stdout=full, env=clean_env(), check=False)
    assert done.returncode == 3


@pytest.mark.parametrize("name", SIGNALS)
def test_signal_sends_each_name(binary: Path, name: str) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        assert run(binary, "signal", "--pid", str(sleeper.pid), "--signal", name).returncode == 0
        assert sleeper.wait(20) == -getattr(signal, f"SIG{name}")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody who may not")
def test_signal_that_is_not_allowed(sanitized: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    with open(sanitized / "agent", "rb") as binary:
        path = f"/proc/self/fd/{binary.fileno()}"  # the folder is not his to enter
        words = [path, "signal", "--pid", "1", "--signal", "HUP"]
        done = subprocess.run(
            words,
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            pass_fds=(binary.fileno(),),
            capture_output=True,
            check=False,
        )
    assert (done.returncode, b"failed to send signal" in done.stderr) == (3, True)


def started(binary: Path, *words: str) -> "subprocess.Popen[bytes]":
    """`wait-signal`, once it waits."""
    process = subprocess.Popen([binary, "wait-signal", *words], stdout=subprocess.PIPE, env=clean_env())
    until = time.monotonic() + 20
    while "State:\tS" not in Path(f"/proc/{process.pid}/status").read_text():  # the kernel unblocks what is waited for
        assert time.monotonic() < until
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_wait_signal_says_its_message(binary: Path, name: str) -> None:
    process = started(binary, "--signal", "TERM", "--signal", "INT", "--message", "good bye")
    process.send_signal(getattr(signal, f"SIG{name}"))
    assert process.communicate(timeout=20)[0] == b"good bye"
    assert process.returncode == 0


def test_wait_signal_ends_by_another(binary: Path) -> None:
    process = started(binary, "--signal", "TERM")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == b""
    assert process.returncode == -signal.SIGINT


def test_write_file(binary: Path, tmp_path: Path) -> None:
    path, content = tmp_path / "file", bytes(range(256)) * 1000
    assert run(binary, "write-file", str(path), stdin=content).returncode == 0
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (content, 0o600)
    path.chmod(0o644)
    assert run(binary, "write-file", str(path), "ignored", stdin=b"short").returncode == 0
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"short", 0o600)


def test_write_file_that_cannot_read(binary: Path, tmp_path: Path) -> None:
    with open("/proc/self/mem", "rb") as unreadable:
        done = subprocess.run(
            [binary, "write-file", tmp_path / "file"], stdin=unreadable, capture_output=True, check=False
        )
    assert done.returncode == 1
