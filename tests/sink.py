"""A sink that keeps what a stream tells it."""

import hashlib

import trio


class RecordingSink:
    """`out` and `err` are what came, `error` what the end said (None before it), `ended` is set at the end."""

    def __init__(self, keep: bool = True) -> None:
        """`keep=False`: count and hash the output only."""
        self.out = b""
        self.err = b""
        self.size = 0
        self.hash = hashlib.sha256()
        self.error: str | None = None
        self.ended = trio.Event()
        self.input_paused = False
        self.pauses = 0
        self._keep = keep
        self._news = trio.Event()

    def output(self, data: bytes, stderr: bool) -> None:
        assert self.error is None and data
        self.size += len(data)
        self.hash.update(data)
        if stderr:
            self.err += data
        elif self._keep:
            self.out += data
        self._wake()

    def output_ended(self, error: str) -> None:
        assert self.error is None
        self.error = error
        self.ended.set()
        self._wake()

    def pause_input(self) -> None:
        assert not self.input_paused
        self.input_paused = True
        self.pauses += 1

    def resume_input(self) -> None:
        assert self.input_paused
        self.input_paused = False
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until(self, what: bytes) -> None:
        """Wait until `what` has come on stdout."""
        with trio.fail_after(20):
            while what not in self.out:
                assert self.error is None, f"{what!r} never came; {self.out!r} did"
                await self._news.wait()

    async def until_input_flows(self) -> None:
        with trio.fail_after(20):
            while self.input_paused:
                await self._news.wait()
