"""The daemon's recorder, with a thread for its files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from actors.disk import CLOSE_S, DiskThread
from actors.recorder import Recorder
from actors.world import Say
from fsm.fingerprint import fingerprints
from fsm.machines import MACHINES
from moorage.version import VERSION
from protocol import codes
from protocol.ledger import Header
from protocol.settings import Settings
from protocol.settings_secrets import without_secrets


@asynccontextmanager
async def open_recorder(settings: Settings, say: Say) -> AsyncIterator[Recorder]:
    """At the end, what is still open is finished, and written if the disk is not too slow for it."""

    def warn(why: str) -> None:
        say(codes.MOORAGE_RECORD_FAILED, {"why": why})

    directory = Path(settings.record.directory) if settings.record.directory else None
    header = Header(
        moorage=VERSION, fingerprint=fingerprints(MACHINES) if directory else {}, settings=without_secrets(settings)
    )
    disk = DiskThread(trio.lowlevel.current_trio_token().run_sync_soon)
    recorder = Recorder(directory, trio.current_time, header, warn, disk=disk)
    try:
        yield recorder
    finally:
        recorder.close()
        with trio.CancelScope(shield=True):
            if not await trio.to_thread.run_sync(disk.close):
                warn(f"the disk of {directory} has not taken them within {CLOSE_S:g} s; they are incomplete")
