"""Which message codes the whole daemon has said while `tests/e2e` and `tests/moorage` ran.

A plugin of this session. A code counts when a running daemon says it: to `serve(say=…)`, in a log line of a process, or
in front of the sentence with which it does not start. A table that names it, or `moorage codes`, does not.
"""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

import moorage.daemon
import moorage.logs
from moorage.log_lines import Record
from protocol.codes import ALL, Code

HEARD: set[str] = set()
LAST = "test_every_code_is_hit"
OF_THE_LOG = ("LOG_WRITE_FAILED", "MOORAGE_LOG_LINES_LOST")  # the others are said through it, in its tests by anyone
IN_TEXT = re.compile(
    r'"timestamp":"[^"]+","level":"\w+","code":"([A-Z_]+)"'  # a log line
    r"|^moorage[^\n]{0,40}?: ([A-Z]+_[A-Z_]+): "  # a sentence
    r"|^\S+Z\t\w+\t([A-Z_]+)\t",  # a log line in text
    re.MULTILINE,
)


def hear(text: str) -> None:
    """What a process of ours has printed."""
    HEARD.update(name for match in IN_TEXT.finditer(text) for name in match.groups() if name in ALL)


@pytest.fixture(autouse=True, scope="session")
def _ears() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        live, communicate, record = moorage.daemon._live, subprocess.Popen.communicate, Record

        async def listened(settings: Any, log: Any, *args: Any, **named: Any) -> None:
            def say(code: Code, details: Any) -> None:
                HEARD.add(code.name)
                log(code, details)

            await live(settings, say, *args, **named)

        def communicated(process: Any, *args: Any, **named: Any) -> Any:
            both = communicate(process, *args, **named)
            for said in both:
                if said:
                    hear(said if isinstance(said, str) else said.decode(errors="replace"))
            return both

        def recorded(*args: Any, **named: Any) -> Record:
            made = record(*args, **named)
            if made.code in OF_THE_LOG:
                HEARD.add(made.code)
            return made

        def cannot(error: Exception, *args: Any) -> None:
            Exception.__init__(error, *args)
            hear(f"moorage: {error}")

        patch.setattr(moorage.daemon, "_live", listened)
        patch.setattr(subprocess.Popen, "communicate", communicated)
        patch.setattr(moorage.logs, "Record", recorded)
        patch.setattr(moorage.daemon.CannotServe, "__init__", cannot)
        yield


def is_whole(config: pytest.Config) -> bool:
    """Do all tests run, but for those that a mark leaves out?"""
    return config.args_source is config.ArgsSource.TESTPATHS and not config.option.keyword


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The last word is the last test's; where only some run it has nothing to say."""
    last = [item for item in items if item.name == LAST]
    items[:] = [item for item in items if item.name != LAST]
    if is_whole(config):
        items += last
    elif last and items:
        config.hook.pytest_deselected(items=last)
    else:
        items += last
