"""Programs of the operator's that we run beside us. They and what they have started end with us, however we end."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

# A member of the group: while it is not reaped, the group's number is nobody else's.
WATCH = "read -r nothing; kill -KILL 0"


@asynccontextmanager
async def process_group() -> AsyncIterator[int]:
    """A number for `process_group` of `trio.run_process`. All who are in the group at the end of the block are killed.

    So they are when we are killed: a shell in the group waits for the end of a pipe whose other end nobody but we
    hold, and the kernel closes that at any death. What has left the group (`setsid`) goes on. Raises OSError.
    """
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as held:
        with os.fdopen(reading, "rb", buffering=0) as end:
            watcher = await trio.lowlevel.open_process(
                ["/bin/sh", "-c", WATCH],
                stdin=end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                process_group=0,
            )
        try:
            yield watcher.pid
        finally:
            held.close()
            with trio.CancelScope(shield=True):
                await watcher.wait()
