"""Which message codes the whole daemon has said while `tests/e2e` and `tests/moorage` ran.

A plugin of this session. A code counts when a running daemon says it: to `serve(say=…)`, in a log line of a process, or
in front of the sentence with which it does not start. A table that names it, or `moorage codes`, does not.

Where processes share the tests (`tests/shares.py`), each hands over what it has heard, and the one that gives out the
tests runs the last one itself.
"""

import re
import subprocess
from collections.abc import Generator, Iterator
from typing import Any

import pytest

import moorage.daemon
import moorage.logs
from moorage.log_lines import Record
from protocol.codes import ALL, Code

HEARD: set[str] = set()
LAST_FILE, LAST = "tests/test_codes_said.py", "test_every_code_is_hit"
WANTED = pytest.StashKey[bool]()  # is the last test to be run by the process that gives out the others?
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


@pytest.hookimpl(trylast=True)  # after the marks have left out theirs
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The last word is the last test's; where only some run it has nothing to say."""
    last = [item for item in items if item.name == LAST]
    items[:] = [item for item in items if item.name != LAST]
    if is_whole(config) and hasattr(config, "workeroutput"):
        config.workeroutput["last"] = bool(last)
    elif is_whole(config) or not items:
        items += last
    elif last:
        config.hook.pytest_deselected(items=last)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["heard"] = sorted(HEARD)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of the processes has done its share. One that crashed has said nothing; that has failed already."""
    output = getattr(node, "workeroutput", {})
    HEARD.update(output.get("heard", ()))
    node.config.stash[WANTED] = node.config.stash.get(WANTED, False) or output.get("last", False)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    done = yield
    if HEARD and session.config.stash.get(WANTED, False):  # nothing at all: the tests could not be collected
        session.testscollected += 1
        file = pytest.Module.from_parent(session, path=session.config.rootpath / LAST_FILE)
        for item in file.collect():
            if isinstance(item, pytest.Item) and item.name == LAST:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return done
