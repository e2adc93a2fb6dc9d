"""Containers that carry our instance label and belong to nobody alive: found at start and by a timer, then removed."""

import re

import trio

from actors.engine.orders import TOKEN_LABEL
from actors.instance import Instance
from actors.pool import SPARE_NAME
from actors.ports import EngineFault, FoundContainer
from actors.supervisor import Supervisor
from protocol import codes

PERIOD_S = 60.0
OWNED_NAME = re.compile(r"moorage-[0-9a-f]{12}(-\d+)?")  # of a connection, or of one of its sessions
AGAIN_S = 1.0  # after a fault: the engine may be back any moment


class Sweeper:
    """Never touches what is not ours: another instance's, or one whose boot's lock is held."""

    def __init__(self, supervisor: Supervisor, instance: Instance) -> None:
        self._supervisor, self._instance = supervisor, instance

    async def run(self) -> None:
        """For ever. Cancel it to end it."""
        failures = 0
        while True:
            try:
                await self.sweep()
                failures = 0
            except EngineFault as fault:
                failures += 1
                if failures == 1:
                    self._supervisor.world.say(codes.MOORAGE_SWEEP_FAILED, {"fault": fault.fault, "why": fault.why})
            await trio.sleep(AGAIN_S if failures else PERIOD_S)

    async def sweep(self) -> int:
        """Look once; how many orphans were found. Raises `EngineFault`."""
        world = self._supervisor.world
        found = await world.engine.list_containers({"moorage.instance": self._instance.id})
        orphans = [container for container in found if self._is_orphan(container)]
        for orphan in orphans:
            why = f"left by boot {orphan.labels.get('moorage.boot', '?')}"
            self._supervisor.adopt_orphan(orphan, orphan.labels.get(TOKEN_LABEL, ""), why)
        if not orphans:
            self._instance.forget_dead()
        return len(orphans)

    def _is_orphan(self, found: FoundContainer) -> bool:
        boot, token = found.labels.get("moorage.boot", ""), found.labels.get(TOKEN_LABEL, "")
        if not self._was_made_here(found.name, boot, token):
            return False
        if boot == self._instance.boot:
            return not self._supervisor.is_owned(token)
        return not self._instance.is_alive(boot)

    def _was_made_here(self, name: str, boot: str, token: str) -> bool:
        """Labels can be copied (`docker commit` does it), names cannot: ours stands in the token, or is configured.

        A spare that was claimed has its login's name.
        """
        own = token.removeprefix(f"{boot}.")
        claimed = own.startswith(SPARE_NAME) and OWNED_NAME.fullmatch(name) is not None
        return own != token and (claimed or name in (own, self._supervisor.settings.docker.execution.containername))
