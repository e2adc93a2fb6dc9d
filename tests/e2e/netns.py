"""Into the network namespace of another process, by a thread that goes there and ends."""

import ctypes
import fcntl
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread

import trio

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def socket_in(pid: int) -> socket.socket:
    """A TCP socket of that process's network, whose loopback is up."""
    made: list[socket.socket | OSError] = []

    def go() -> None:
        try:
            with open(f"/proc/{pid}/ns/net") as there:
                if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            plug = socket.socket()
            fcntl.ioctl(plug, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
            made.append(plug)
        except OSError as error:
            made.append(error)

    thread = Thread(target=go)
    thread.start()
    thread.join()
    (plug,) = made
    if isinstance(plug, OSError):
        raise plug
    return plug


@asynccontextmanager
async def way_into(pid: int, port: int) -> AsyncIterator[int]:
    """A port of our loopback that leads to `port` on that of the process's network: plain bytes, half-closes too."""

    async def serve(near: trio.SocketStream) -> None:
        plug = trio.socket.from_stdlib_socket(await trio.to_thread.run_sync(socket_in, pid))
        try:
            await plug.connect(("127.0.0.1", port))
            far = trio.SocketStream(plug)
            async with near, far, trio.open_nursery() as nursery:
                nursery.start_soon(_pour, near, far)
                await _pour(far, near)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            plug.close()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def _pour(source: trio.SocketStream, target: trio.SocketStream) -> None:
    async for data in source:
        await target.send_all(data)
    await target.send_eof()
