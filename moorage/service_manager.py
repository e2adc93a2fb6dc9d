"""The service manager's side of the daemon: sd_notify(3), its watchdog, and the sockets it has opened (LISTEN_FDS).

Nothing of it depends on systemd's library, and without a manager nothing is said.
"""

import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import trio

from actors.world import Say
from moorage.cannot_serve import CannotServe
from protocol import codes
from protocol.codes import Code

FIRST_SOCKET = 3
# What the manager is told when a code is said.
STATES: Mapping[str, str] = {
    codes.MOORAGE_READY.name: "READY=1\nSTATUS=serving",
    codes.MOORAGE_RELOADED.name: "READY=1\nSTATUS=serving",
    codes.MOORAGE_RELOAD_REFUSED.name: "READY=1\nSTATUS=serving; the last reload was refused",
    codes.MOORAGE_UPGRADING.name: "STATUS=a new process is starting",
    codes.MOORAGE_UPGRADE_FAILED.name: "STATUS=serving; the last upgrade has failed",
    codes.MOORAGE_UPGRADED.name: "MAINPID={pid}",
    codes.MOORAGE_DRAINING.name: "STOPPING=1\nSTATUS=draining",
    codes.MOORAGE_TERMINATING.name: "STATUS=ending sessions",
}


class ServiceManager:
    """Whoever has started us and wants to know, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog_s = float(environment.get("WATCHDOG_USEC", "0")) / 1e6 if watched and self._address else 0.0

    def told(self, say: Say) -> Say:
        """`say`, of which the manager hears what concerns it. What a successor says is no longer ours to say."""

        def say_and_notify(code: Code, details: Mapping[str, Any]) -> None:
            say(code, details)
            if code.name in STATES:
                self.notify(STATES[code.name].format_map(details))
            if code.name == codes.MOORAGE_UPGRADED.name:
                self._address = ""

        return say_and_notify

    def notify(self, state: str) -> None:
        """One datagram. A manager that does not read is not waited for."""
        if not self._address:
            return
        where = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):
            sender.setblocking(False)
            sender.sendto(state.encode(), where)

    def reloading(self) -> None:
        """The configuration is read anew; the code that says how that ended says that we are ready again."""
        self.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    async def watch(self, prove_alive: Callable[[], Awaitable[None]]) -> None:
        """For ever: feed the watchdog as long as `prove_alive` returns in time."""
        while self._watchdog_s:
            pause_s = self._watchdog_s / 3
            with trio.move_on_after(pause_s) as scope:
                await prove_alive()
            if not scope.cancelled_caught:
                self.notify("WATCHDOG=1")
                await trio.sleep(pause_s)


def inherited_sockets(environment: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The sockets that the service manager listens on for us. Raises `CannotServe` when they are of another kind."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    found = []
    for number in range(FIRST_SOCKET, FIRST_SOCKET + int(environment.get("LISTEN_FDS", "0"))):
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
        listens = sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if not listens or sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise CannotServe(f"{codes.SSH_START_FAILED.name}: descriptor {number} is no TCP socket that listens")
        found.append(sock)
    return found
