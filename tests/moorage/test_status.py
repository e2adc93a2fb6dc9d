"""`moorage status` against a daemon with a login in it, and against none."""

import asyncio
import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio
import trio.testing
from msgspec.structs import replace

from actors.bridge import aio, open_loop
from moorage import process
from moorage.daemon import serve
from moorage.status import status_command
from moorage.testing import FakeEngine
from protocol import codes
from protocol.codes import Code
from protocol.settings import GUEST_IMAGE, Auth, Docker, Execution, Pool, Settings, Ssh, User

HOME = Path(__file__).resolve().parents[2]


def _settings(tmp_path: Path) -> Settings:
    host, user = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    host.write_private_key(tmp_path / "host")
    user.write_private_key(tmp_path / "user")
    line = user.export_public_key().decode().strip()
    return Settings(
        ssh=Ssh(listen="127.0.0.1:0", hostkeys=(str(tmp_path / "host"),)),
        docker=Docker(execution=Execution(container={"Image": GUEST_IMAGE})),
        auth=Auth(users={"demo": User(authorized_keys=(line,))}),
        state=str(tmp_path / "var"),
    )


@pytest.mark.trio
async def test_it_shows_who_is_where(tmp_path: Path) -> None:
    landed = trio.Event()

    def say(code: Code, details: Any) -> None:
        if code is codes.MOORAGE_CONTAINER_LANDED:
            landed.set()

    async with (
        FakeEngine.open() as engine,
        open_loop(lambda context: None),
        serve(_settings(tmp_path), say=say, engine=engine) as server,
    ):
        client = await aio(_connect, server.port, str(tmp_path / "user"))
        await landed.wait()
        shown = await _status(tmp_path, "text")
        assert "SERVING on 127.0.0.1:" in shown and "1 connections" in shown
        assert [word for word in ("connection", "container", "RUNNING", "demo") if word not in shown] == []
        (answer,) = json.loads(await _status(tmp_path, "json"))
        assert {actor["machine"] for actor in answer["actors"]} == {"connection", "container"}
        took = answer["process"]
        assert took["pid"] == os.getpid() and took["rss_bytes"] > 2**20
        assert 0 < took["files"] <= took["files_max"] and f"{took['files']} of {took['files_max']} files" in shown
        client.abort()


@pytest.mark.trio
async def test_it_shows_what_is_ready(tmp_path: Path) -> None:
    ready = trio.Event()
    settings = _settings(tmp_path)
    settings = replace(settings, docker=replace(settings.docker, pool=Pool(size=1)))

    def say(code: Code, details: Any) -> None:
        if code is codes.MOORAGE_SPARE_READY:
            assert details["image"] == GUEST_IMAGE
            ready.set()

    async with (
        FakeEngine.open() as engine,
        open_loop(lambda context: None),
        serve(settings, say=say, engine=engine),
    ):
        await ready.wait()
        shown = await _status(tmp_path, "text")
        assert f"  ready for a login (0 have found one, 0 have not):\n    1 of 1  {GUEST_IMAGE}\n" in shown
        (answer,) = json.loads(await _status(tmp_path, "json"))
        assert answer["pool"]["groups"] == [{"image": GUEST_IMAGE, "wanted": 1, "ready": 1, "filling": 0}]


@pytest.mark.trio
async def test_tasks_of_both_kinds_are_counted() -> None:
    async with open_loop(lambda context: None), trio.open_nursery() as nursery:
        before = process.figures()["tasks"]
        for _ in range(3):
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(aio, asyncio.sleep, 60)
        await trio.testing.wait_all_tasks_blocked()
        assert process.figures()["tasks"] == before + 9  # and three that wait for those of asyncio
        nursery.cancel_scope.cancel()


def test_the_usual_limit_of_files_is_raised_as_far_as_it_goes() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = (
        "import resource, moorage; from moorage import process; limit = resource.RLIMIT_NOFILE;"
        f"resource.setrlimit(limit, (64, {hard})); process.allow_files(); print(resource.getrlimit(limit))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HOME).stdout
    assert said == f"({hard}, {hard})\n"


def test_no_daemon_is_said_in_a_sentence(tmp_path: Path) -> None:
    out = io.StringIO()
    assert status_command(tmp_path, "text", out) == 1
    assert out.getvalue() == f"no daemon runs on {tmp_path}\n"


async def _connect(port: int, key: str) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect("127.0.0.1", port, username="demo", client_keys=[key], known_hosts=None, config=None)


async def _status(tmp_path: Path, format: str) -> str:
    """In a thread: the command runs a loop of its own."""
    out = io.StringIO()
    assert await trio.to_thread.run_sync(status_command, tmp_path / "var", format, out) == 0
    return out.getvalue()
