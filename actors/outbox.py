"""What a peer is sent in one turn leaves in one write: one trip to the kernel, one awakening of the other side."""

import asyncio
from typing import Any

from actors.turn import Turn

HELD_BYTES_MAX = 16 * 1024  # more does not wait: the socket has to say whether it is full


class Outbox(asyncio.Transport):
    """Stands before the socket's own transport and is one itself.

    More than `held_max` bytes do not wait, nor does a piece of fewer than `at_once` with what is held before it.
    """

    def __init__(
        self, transport: asyncio.Transport, turn: Turn, held_max: int = HELD_BYTES_MAX, at_once: int = 0
    ) -> None:
        super().__init__()
        self._transport, self._turn = transport, turn
        self._held_max, self._at_once = held_max, at_once
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._has_ended = False  # our direction

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._held.append(bytes(data))
        self._held_bytes += len(data)
        if self._held_bytes > self._held_max or len(data) < self._at_once:
            self._flush()
        elif len(self._held) == 1:
            self._turn.send_later(self._flush)

    def write_eof(self) -> None:
        self._flush()
        self._has_ended = True
        self._transport.write_eof()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._held, self._held_bytes = [], 0
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + self._held_bytes

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def _flush(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self._has_ended and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))
