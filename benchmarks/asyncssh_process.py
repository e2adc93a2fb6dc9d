"""The harness's end of asyncssh_client.py."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.openssh import ClientFailed
from benchmarks.servers import HOME, USER_KEY

ANSWER_SECONDS_MAX = 300.0


class AsyncsshClient:
    """Asks the process and waits for its answer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, do: str, **arguments: Any) -> list[float]:
        """One order, by its name in `Client`; the values that it measured. Raises `ClientFailed`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS_MAX)
        line = self._process.stdout.readline() if ready else ""
        answer = json.loads(line or '{"error": "no answer"}')
        if "error" in answer:
            raise ClientFailed(f"asyncssh client, {do}: {answer['error']}")
        values: list[float] = answer["values"]
        return values


@contextmanager
def asyncssh_client(folder: Path) -> Iterator[AsyncsshClient]:
    """The process, until the block is left."""
    command = [sys.executable, "-m", "benchmarks.asyncssh_client", str(folder / USER_KEY)]
    with (folder / "asyncssh.log").open("wb") as complaints:
        process = subprocess.Popen(
            command, cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True
        )
    with process:
        yield AsyncsshClient(process)
        assert process.stdin is not None
        process.stdin.close()
