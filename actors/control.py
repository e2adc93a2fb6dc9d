"""The control socket: whoever may read the daemon's state folder may ask what it is doing, and for its succession.

One question a connection, a line of JSON each way; only an upgrade is a longer talk. It is written against anyio, so
that the client's half runs in a command without any loop of the daemon's.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream

QUESTION_BYTES_MAX = 64 * 1024
ANSWER_BYTES_MAX = 64 * 2**20
ANSWER_S = 5.0

Answers = Mapping[str, Callable[[], Any]]
Talks = Mapping[str, Callable[[SocketStream, bytes], Awaitable[None]]]  # the stream, and the question's argument
NO_TALKS: Talks = {}
HUNG_UP = (anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.BrokenResourceError, anyio.EndOfStream)


async def serve_control(
    path: Path, answers: Answers, talks: Talks = NO_TALKS, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Answer questions at `path` until cancelled; the socket goes with us. Raises OSError if it cannot be made."""
    listener = await anyio.create_unix_listener(path, mode=0o600)
    task_status.started()

    async def answer(stream: SocketStream) -> None:
        with suppress(*HUNG_UP, TimeoutError):  # the other side's business
            async with stream:
                name, argument = await _question(stream)
                try:
                    talk = talks.get(name, partial(_answer, answers.get(name, lambda: {"error": "unknown question"})))
                    await talk(stream, argument)
                except msgspec.MsgspecError as error:
                    await say(stream, {"error": str(error)})

    try:
        async with listener:
            await listener.serve(answer)
    finally:
        path.unlink(missing_ok=True)  # noqa: ASYNC240  # one syscall, on our own folder


async def _question(stream: SocketStream) -> tuple[str, bytes]:
    """Its name, and its argument as it was sent."""
    with anyio.fail_after(ANSWER_S):
        line = await BufferedByteReceiveStream(stream).receive_until(b"\n", QUESTION_BYTES_MAX)
    name, _, argument = line.partition(b" ")
    return name.decode(errors="replace"), argument


async def _answer(answer: Callable[[], Any], stream: SocketStream, argument: bytes) -> None:
    with anyio.fail_after(ANSWER_S):
        await say(stream, answer())


async def say(stream: SocketStream, value: Any) -> None:
    """One line of JSON."""
    await stream.send(msgspec.json.encode(value) + b"\n")


async def ask(path: Path, question: str, argument: Any = None, seconds: float = ANSWER_S) -> Any:
    """The answer of the daemon at `path`. Raises OSError when there is none, TimeoutError when it is stuck."""
    asked = question.encode() + (b"" if argument is None else b" " + msgspec.json.encode(argument)) + b"\n"
    with anyio.fail_after(seconds):
        async with await anyio.connect_unix(path) as stream:
            await stream.send(asked)
            line = await BufferedByteReceiveStream(stream).receive_until(b"\n", ANSWER_BYTES_MAX)
    return msgspec.json.decode(line)
