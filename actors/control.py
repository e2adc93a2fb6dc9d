"""The control socket: whoever may read the daemon's state folder may ask what it is doing.

One question a connection, one line of JSON each way. It is written against anyio, so that the client's half runs in a
command without any loop of the daemon's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream

QUESTION_BYTES_MAX = 256
ANSWER_BYTES_MAX = 64 * 2**20
ANSWER_S = 5.0

Answers = dict[str, Callable[[], Any]]


async def serve_control(
    path: Path, answers: Answers, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Answer questions at `path` until cancelled; the socket goes with us. Raises OSError if it cannot be made."""
    listener = await anyio.create_unix_listener(path, mode=0o600)
    task_status.started()

    async def answer(stream: SocketStream) -> None:
        async with stream:
            with anyio.move_on_after(ANSWER_S):
                try:
                    question = await BufferedByteReceiveStream(stream).receive_until(b"\n", QUESTION_BYTES_MAX)
                    reply = answers.get(question.decode(errors="replace"), lambda: {"error": "unknown question"})()
                    await stream.send(msgspec.json.encode(reply) + b"\n")
                except (anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.BrokenResourceError):
                    pass  # the other side's business

    try:
        async with listener:
            await listener.serve(answer)
    finally:
        path.unlink(missing_ok=True)  # noqa: ASYNC240  # one syscall, on our own folder


async def ask(path: Path, question: str) -> Any:
    """The answer of the daemon at `path`. Raises OSError when there is none, TimeoutError when it is stuck."""
    with anyio.fail_after(ANSWER_S):
        async with await anyio.connect_unix(path) as stream:
            await stream.send(question.encode() + b"\n")
            line = await BufferedByteReceiveStream(stream).receive_until(b"\n", ANSWER_BYTES_MAX)
    return msgspec.json.decode(line)
