"""`moorage reload`: each daemon on a state folder reads its configuration again, and says what is new to it."""

from pathlib import Path
from typing import TextIO

import anyio
import msgspec

from actors.control import ask
from actors.reload import Reloaded
from moorage.config import Unreadable, load
from moorage.status import sockets
from protocol.settings_problem import SettingsError

RELOAD_S = 90.0  # reading, and maybe bringing the guest agent


def state_of(config: Path) -> Path:
    """The state folder that a configuration names, even one that the daemon will refuse. Raises Unreadable."""
    try:
        settings = load(config).settings
    except SettingsError as error:
        if error.settings is None:
            raise Unreadable(f"{config}: no state folder can be made out in it; name it with --state") from None
        settings = error.settings
    return Path(settings.state)


def reload_command(state: Path, out: TextIO) -> int:
    """0: the configuration is in force; 1: it was refused and the old one stays, or no daemon serves there."""
    answers = [(path.stem, answer) for path in sockets(state) if (answer := _reloaded(path)) is not None]
    if not any(answer.serving for _, answer in answers):
        out.write(f"no daemon serves on {state}\n")
        return 1
    for boot, answer in answers:
        if answer.error:
            out.write(f"boot {boot}: refused, the old configuration stays: {answer.error}\n")
        else:
            out.write(f"boot {boot}: reloaded\n")
            news = answer.changes or ("nothing in it has changed; the files that it names were read again",)
            out.writelines(f"  {change}\n" for change in news)
    return 1 if any(answer.error and answer.serving for _, answer in answers) else 0


def _reloaded(path: Path) -> Reloaded | None:
    try:
        return msgspec.convert(anyio.run(_ask, path, backend="trio"), Reloaded)
    except (OSError, anyio.IncompleteRead):
        return None  # left by a crash, or just ending
    except TimeoutError:
        return Reloaded(f"it has not answered within {RELOAD_S:g} s")


async def _ask(path: Path) -> object:
    answer: object = await ask(path, "reload", seconds=RELOAD_S)
    return answer
