"""The engine's multiplexed stream: stdout and stderr of a program without a terminal, in one connection.

A frame is a header of eight bytes (stream, 0, 0, 0, length as 32 bits big endian) and its payload. The length is the
peer's word and may be anything up to 4 GiB, so payloads are passed on piece by piece as they come and never
collected; what is kept between calls is at most seven bytes of a header.
"""

from collections.abc import Iterator

STDIN, STDOUT, STDERR, SYSTEM = range(4)
HEADER_BYTES = 8


class StdcopyError(Exception):
    """These bytes are not a multiplexed stream."""


class StdcopyParser:
    """Cuts a multiplexed stream into pieces. Each byte is looked at once, whatever the sizes of frames and reads."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = STDOUT
        self._left = 0  # bytes of the current payload still to come

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (stream, piece) for what `data` brings; pieces are never empty. Raises `StdcopyError`.

        The iterator has to be run to its end before the next call.
        """
        at, end = 0, len(data)
        while at < end:
            if self._left == 0:
                take = min(HEADER_BYTES - len(self._header), end - at)
                self._header += data[at : at + take]
                at += take
                if len(self._header) < HEADER_BYTES:
                    return
                self._stream, self._left = self._read_header(self._header)
                self._header = b""
                continue
            take = min(self._left, end - at)
            self._left -= take
            piece = data[at : at + take]
            at += take
            yield self._stream, piece

    def finish(self) -> None:
        """The stream has ended. Raises `StdcopyError` when that was in the middle of a frame."""
        if self._left or self._header:
            raise StdcopyError("the stream ended inside a frame")

    @staticmethod
    def _read_header(header: bytes) -> tuple[int, int]:
        stream = header[0]
        if stream > SYSTEM or header[1:4] != b"\0\0\0":
            raise StdcopyError(f"not a frame header: {header.hex()}")
        return stream, int.from_bytes(header[4:], "big")
