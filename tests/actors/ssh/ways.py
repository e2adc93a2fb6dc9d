"""OpenSSH's client against a listener with ways in of a test's choosing."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from msgspec.structs import replace

from protocol.auth import AttemptMade
from protocol.connection import Authenticated, AuthFailed
from protocol.settings import Settings
from protocol.settings_auth import Auth
from tests.actors.ssh.host import PASSWORD, FakeMailbox, Host, Script, open_host, say, settings
from tests.actors.ssh.test_openssh import Ssh, keygen

TOTP = base64.b32encode(b"12345678901234567890").decode()
HASH = "hash of alice"
__all__ = ["PASSWORD", "TOTP", "AttemptMade"]


def askpass(folder: Path, password: str = PASSWORD, code: str = "") -> dict[str, str]:
    """A helper that types: the code where a code is asked for, else the password. It writes down what it was asked."""
    path = folder / "ask"
    path.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$1\" >> {folder}/asked\n"
        f"case \"$1\" in *code*) echo '{code}' ;; *) echo '{password}' ;; esac\n"
    )
    path.chmod(0o700)
    return {"SSH_ASKPASS": str(path), "SSH_ASKPASS_REQUIRE": "force"}


class Ways:
    """A listener, a client with a key in `home`, and what came of its logins."""

    def __init__(self, host: Host, home: Path) -> None:
        self.host, self.home, self.ssh = host, home, Ssh(host, home)

    async def log_in(
        self, *options: str, user: str = "alice", env: dict[str, str] | None = None, level: str = "ERROR"
    ) -> "Outcome":
        """`ssh user@host x`, with everything that asks a person left to `env`."""
        batch = () if env else ("-o", "BatchMode=yes")
        before = ("-o", f"LogLevel={level}")
        done = await self.ssh.run(*batch, *options, f"{user}@127.0.0.1", "x", env=env, before=before)
        return Outcome(self.host.supervisor.connections[-1], done.returncode == 7, done.stdout, done.stderr)

    def codes(self) -> set[str]:
        return {code for code, _ in self.host.supervisor.said}


class Outcome:
    def __init__(self, mailbox: FakeMailbox, is_in: bool, stdout: bytes, stderr: bytes) -> None:
        self.mailbox, self.is_in, self.stdout, self.stderr = mailbox, is_in, stdout, stderr

    @property
    def whys(self) -> list[str]:
        return [event.why for event in self.mailbox.all(AuthFailed)]

    @property
    def login(self) -> Authenticated:
        assert self.is_in, f"{self.whys} {self.stderr!r}"
        return self.mailbox.all(Authenticated)[0]


@asynccontextmanager
async def open_ways(home: Path, auth: Auth, script: Script = say, **more: Any) -> AsyncIterator[Ways]:
    config: Settings = replace(settings(max_auth_tries=6), auth=auth, **more)
    async with open_host(config, script) as host:
        yield Ways(host, home)


async def new_key(home: Path, name: str = "id") -> str:
    """A fresh key pair; its public line."""
    await keygen("ed25519", home / name)
    return (await trio.Path(home / f"{name}.pub").read_text()).strip()
