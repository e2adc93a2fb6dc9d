"""Moorage over the engine in memory, in a process of its own: what a connection costs us when no engine is in the way.

`python -m benchmarks.fake_server CONFIG` says that it is ready as `moorage serve` does.
"""

import json
import signal
import sys
from pathlib import Path

import trio

from moorage import load, serve
from moorage.testing import FakeEngine


async def main(config: str) -> None:
    """Until TERM."""
    settings = load(Path(config)).settings
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            async with serve(settings, engine=FakeEngine(nursery)) as server:
                host, port = server.addresses[0]
                ready = {"code": "MOORAGE_READY", "details": {"listen": [f"{host}:{port}"]}}
                sys.stdout.write(json.dumps(ready, separators=(",", ":")) + "\n")
                sys.stdout.flush()
                await anext(aiter(signals))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
