"""Containers that carry our instance label and belong to nobody alive: found at start and by a timer, then removed.

The engine may make one after whoever asked for it has given up or died. So for a while after each start, each create
whose end is unknown and each fault of the engine the sweep looks often.
"""

import re
from typing import Any

import trio

from actors.engine.orders import TOKEN_LABEL
from actors.instance import Instance
from actors.pool import SPARE_NAME
from actors.ports import EngineFault, FoundContainer
from actors.supervisor import Supervisor
from protocol import codes

PERIOD_S = 60.0
# Looks that the engine has answered, and the pauses after them: two minutes. With a hundred containers one takes the
# engine 10 ms, which others' keystrokes wait for.
EAGER_LOOKS, EAGER_PERIOD_S = 10, 1.0
WATCH_LOOKS, WATCH_PERIOD_S = EAGER_LOOKS + 37, 3.0
OWNED_NAME = re.compile(r"moorage-[0-9a-f]{12}(-\d+)?")  # of a connection, or of one of its sessions


class Sweeper:
    """Never touches what is not ours: another instance's, or one whose boot's lock is held."""

    def __init__(self, supervisor: Supervisor, instance: Instance) -> None:
        self._supervisor, self._instance = supervisor, instance
        self._watch = WATCH_LOOKS
        self._wake = trio.Event()
        self._looks = self._failures = self.found = 0
        supervisor.world.on_doubt = self.watch

    def statistics(self) -> dict[str, Any]:
        """How often it has looked, what it found, and whether the engine answers it."""
        return {"looks": self._looks, "found": self.found, "failing": self._failures, "watching": self._watch > 0}

    def watch(self) -> None:
        """There may soon be a container that nobody has."""
        self._watch = WATCH_LOOKS
        self._wake.set()

    async def run(self) -> None:
        """For ever. Cancel it to end it."""
        while True:
            await self.look()
            self._wake = trio.Event()
            if self._watch > WATCH_LOOKS - EAGER_LOOKS:
                await trio.sleep(EAGER_PERIOD_S)  # whatever else is in doubt by then is looked into with it
                continue
            with trio.move_on_after(WATCH_PERIOD_S if self._watch else PERIOD_S):
                await self._wake.wait()

    async def look(self) -> None:
        """Sweep, and let nothing come of it when the engine does not answer: it may be back any moment."""
        try:
            await self.sweep()
        except EngineFault as fault:
            self._failures, self._watch = self._failures + 1, WATCH_LOOKS
            if self._failures == 1:
                self._supervisor.world.say(codes.MOORAGE_SWEEP_FAILED, {"fault": fault.fault, "why": fault.why})
        else:
            self._failures, self._watch = 0, max(0, self._watch - 1)

    async def sweep(self) -> int:
        """Look once; how many orphans were found. Raises `EngineFault`."""
        world = self._supervisor.world
        self._looks += 1
        owned = self._supervisor.owned()  # one that ends while we look is no orphan
        found = await world.engine.list_containers({"moorage.instance": self._instance.id})
        owned |= self._supervisor.owned()
        orphans = [container for container in found if self._is_orphan(container, owned)]
        for orphan in orphans:
            why = f"left by boot {orphan.labels.get('moorage.boot', '?')}"
            self.found += self._supervisor.adopt_orphan(orphan, orphan.labels.get(TOKEN_LABEL, ""), why)
        if not orphans:
            self._instance.forget_dead()
        return len(orphans)

    def _is_orphan(self, found: FoundContainer, owned: set[str]) -> bool:
        boot, token = found.labels.get("moorage.boot", ""), found.labels.get(TOKEN_LABEL, "")
        if not self._was_made_here(found.name, boot, token):
            return False
        if boot == self._instance.boot:
            return token not in owned
        return not self._instance.is_alive(boot)

    def _was_made_here(self, name: str, boot: str, token: str) -> bool:
        """Labels can be copied (`docker commit` does it), names cannot: ours stands in the token, or is configured.

        A spare that was claimed has its login's name. A probe of the guest agent has its own.
        """
        own = token.removeprefix(f"{boot}.")
        claimed = own.startswith(SPARE_NAME) and OWNED_NAME.fullmatch(name) is not None
        return own != token and (claimed or name in (own, self._supervisor.settings.docker.execution.containername))
