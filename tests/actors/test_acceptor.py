"""Who is accepted, what happens when there are no descriptors, and that closing ends it."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_trio
import trio

import actors.acceptor
from actors.acceptor import Acceptor
from actors.bridge import aio, open_loop, this_loop

pytestmark = pytest.mark.trio


class Full(socket.socket):
    """A listening socket in a process that has `missing` times no descriptor left."""

    missing = 0

    def accept(self) -> tuple[socket.socket, Any]:
        if self.missing:
            self.missing -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


class Place:
    """An acceptor on the loopback; `taken` is whom it has let in, `told` what the loop was told."""

    def __init__(self, told: list[Mapping[str, Any]]) -> None:
        self.told = told
        self.taken: list[socket.socket] = []
        self.sock = Full(socket.AF_INET)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen()
        self.sock.setblocking(False)
        self.acceptor = Acceptor(this_loop(), self.sock, self.take)
        self.stays = True

    def take(self, sock: socket.socket) -> None:
        self.taken.append(sock)
        if not self.stays:
            self.acceptor.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.sock.getsockname())

    async def until_taken(self, count: int) -> None:
        with trio.fail_after(5):
            while len(self.taken) < count:  # noqa: ASYNC110 (nobody tells)
                await trio.sleep(0.001)


@pytest_trio.trio_fixture
async def place() -> AsyncIterator[Place]:
    told: list[Mapping[str, Any]] = []
    async with open_loop(told.append):
        made = Place(told)
        yield made
        made.acceptor.close()
        for sock in made.taken:
            sock.close()


async def test_all_who_wait_are_taken_and_do_not_block(place: Place) -> None:
    clients = [place.connect() for _ in range(5)]
    place.acceptor.begin()
    await place.until_taken(5)
    assert not any(sock.getblocking() for sock in place.taken)
    clients.append(place.connect())
    await place.until_taken(6)
    for client in clients:
        client.close()
    assert place.told == []


async def test_without_descriptors_it_pauses_and_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.acceptor, "PAUSE_S", 0.05)
    place.sock.missing = 3
    with place.connect():
        place.acceptor.begin()
        await place.until_taken(1)
    assert [context["exception"].errno for context in place.told] == [errno.EMFILE] * 3


async def test_closed_in_a_pause_it_stays_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.acceptor, "PAUSE_S", 0.05)
    place.sock.missing = 1
    with place.connect():
        place.acceptor.begin()
        while not place.told:  # noqa: ASYNC110 (nobody tells)
            await trio.sleep(0.001)
        place.acceptor.close()
        await trio.sleep(0.1)
    assert place.taken == [] and len(place.told) == 1


async def test_who_closes_it_is_the_last_one_taken(place: Place) -> None:
    place.stays = False
    with place.connect() as first, place.connect() as second:
        place.acceptor.begin()
        await place.until_taken(1)
        await trio.sleep(0.01)
        assert len(place.taken) == 1
        second.settimeout(5)
        with pytest.raises(ConnectionResetError):
            second.recv(1)
        first.close()


async def test_what_is_carried_hears_of_it_before_all_that_is_called_later() -> None:
    order: list[str] = []

    class Peer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            order.append("made")

        def connection_lost(self, error: Exception | None) -> None:
            order.append("lost")

    async with open_loop(print):
        near, far = socket.socketpair()
        near.setblocking(False)
        loop = this_loop()
        transport = loop.carry(near, Peer())
        loop.call_soon(order.append, "after")
        await aio(asyncio.sleep, 0)
        assert order == ["made", "after"]
        far.close()
        with trio.fail_after(5):
            while "lost" not in order:  # noqa: ASYNC110 (asyncio tells us nothing)
                await trio.sleep(0.001)
        transport.close()
