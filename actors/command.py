"""A program of the operator's that prints `authorized_keys` lines, run as sshd runs AuthorizedKeysCommand: no shell,
nothing inherited, an account of its own, and an end to its time and to its output."""

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import trio

from actors.child import process_group
from actors.ports import OutsideFault
from protocol.settings import Settings
from protocol.settings_auth import KeysCommand

OUTPUT_BYTES_MAX = 1024 * 1024
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
NEEDS_A_USER = "run as root it wants an account of its own: give auth.authorizedKeysCommand.user"


def check(settings: Settings) -> list[tuple[str, str]]:
    """(path, sentence) for a command that would be run by nobody. Empty when all is well."""
    command, path = settings.auth.authorized_keys_command, "auth.authorizedKeysCommand.user"
    if command.command and os.geteuid() == 0 and not command.user:
        return [(path, "Moorage runs as root, and the command wants an account of its own")]
    if command.command and command.user and not _is_account(command.user):
        return [(path, f"there is no account {command.user!r}")]
    return []


def _is_account(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def expand(command: Sequence[str], tokens: Mapping[str, str]) -> list[str]:
    """Each `%x` in the arguments replaced once; `%%` is a percent sign. Raises ValueError for one that is not known."""
    return [command[0], *(_expanded(argument, tokens) for argument in command[1:])]


def _expanded(argument: str, tokens: Mapping[str, str]) -> str:
    text, place = "", 0
    while (found := argument.find("%", place)) >= 0:
        name = argument[found + 1 : found + 2]
        if name != "%" and name not in tokens:
            raise ValueError(f"%{name} is not one of %%, {', '.join(f'%{known}' for known in tokens)}")
        text += argument[place:found] + ("%" if name == "%" else tokens[name])
        place = found + 2
    return text + argument[place:]


async def run_keys_command(settings: KeysCommand, tokens: Mapping[str, str]) -> str:
    """Its output; empty when it ends with another status than 0. Raises `OutsideFault`, which asking again would not
    help."""
    if os.geteuid() == 0 and not settings.user:
        raise OutsideFault("denied", NEEDS_A_USER)
    account: dict[str, Any] = (
        {"user": settings.user, "group": _group(settings.user), "extra_groups": []} if settings.user else {}
    )
    if os.geteuid() != 0:
        account = {}  # it is ours already, or cannot be had
    process = None
    try:
        async with process_group() as group:
            process = await trio.lowlevel.open_process(
                expand(settings.command, tokens),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                process_group=group,
                **account,
            )
            with trio.fail_after(settings.timeout):
                output = await _output(process)
                status = await process.wait()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise OutsideFault(
            "denied", f"the command cannot be run: {getattr(error, 'strerror', None) or error}"
        ) from None
    except trio.TooSlowError:
        raise OutsideFault("denied", f"the command took longer than {settings.timeout:g} s") from None
    finally:
        if process is not None:
            await _reap(process)
    return output.decode("utf-8", "replace") if status == 0 else ""


async def _output(process: trio.Process) -> bytes:
    output = bytearray()
    assert process.stdout is not None
    async for chunk in process.stdout:
        output += chunk
        if len(output) > OUTPUT_BYTES_MAX:
            raise OutsideFault("denied", f"the command prints more than {OUTPUT_BYTES_MAX} bytes")
    return bytes(output)


async def _reap(process: trio.Process) -> None:
    """It has ended, with its group at the latest."""
    with trio.CancelScope(shield=True):
        await process.wait()
        if process.stdout is not None:
            await process.stdout.aclose()


def _group(user: str) -> int:
    """The account's first group. Raises `OutsideFault`."""
    try:
        return pwd.getpwnam(user).pw_gid
    except KeyError:
        raise OutsideFault("denied", f"there is no account {user!r}") from None
