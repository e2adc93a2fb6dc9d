"""The agent, built for the tests under AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.agent.guest import Guest
from tests.agent.screen import Screen

HOME = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs `agent` and `frames-probe`."""
    if not shutil.which("gcc") or not Path("/usr/include/stdio.h").exists():
        pytest.skip("the agent is built with gcc and the headers of the C library: `make test` installs them as root")
    folder = tmp_path_factory.mktemp("sanitized")
    command = ["make", "--silent", "-j2", "-C", str(HOME / "agent"), "sanitized", f"OUT={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def binary(request: pytest.FixtureRequest) -> Path:
    """MOORAGE_TEST_AGENT: another one, such as a script that runs the aarch64 agent under qemu."""
    given = os.environ.get("MOORAGE_TEST_AGENT")
    return Path(given) if given else request.getfixturevalue("sanitized") / "agent"


@pytest.fixture
def boot(binary: Path, tmp_path: Path) -> Iterator[Callable[..., Guest]]:
    """Start `serve` without the host's HELLO; ended when the test is."""
    with ExitStack() as stack:

        def start(*words: str, **options: Any) -> Guest:
            guest = Guest(binary, tmp_path, *words, **options)
            stack.callback(guest.close)
            return guest

        yield start


@pytest.fixture
def guest(boot: Callable[..., Guest]) -> Guest:
    return boot().greet()


@pytest.fixture
def screens() -> Iterator[Callable[[], Screen]]:
    with ExitStack() as stack:

        def one_more() -> Screen:
            screen = Screen()
            stack.callback(screen.close)
            return screen

        yield one_more


@pytest.fixture
def screen(screens: Callable[[], Screen]) -> Screen:
    return screens()
