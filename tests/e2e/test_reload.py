"""Reloads of a server at work: by command and by signal, refused and adopted, and fifty of them under logins."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.e2e.harness import USER, Done, Harness
from tests.e2e.process import HOME, Served, served
from tests.e2e.runs import Setup
from tests.e2e.runs_reload import File, seen
from tests.e2e.test_process import session

pytestmark = [pytest.mark.trio, pytest.mark.engine, pytest.mark.openssh]
RELOADS = 50


@pytest.mark.slow
async def test_no_login_is_refused_while_the_configuration_is_read_again(setup: Setup) -> None:
    """Fifty times, one after the other, while three clients log in in loops: each has one of the two, whole."""
    more = seen("0", setup.image)
    file = File(setup.settings(**more))
    over, logins = trio.Event(), 0

    async def log_in(harness: Harness) -> None:
        nonlocal logins
        while not over.is_set():
            began = harness.said.count("MOORAGE_RELOADED")
            async with harness.client() as client:
                done = await client.run("echo $SEEN")
            assert (done.status, done.err) == (0, b"")
            assert began <= int(done.out) <= harness.said.count("MOORAGE_RELOADED")
            logins += 1

    async with setup.harness(reread=file.read, seconds_max=240, **more) as harness, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(log_in, harness)
        for number in range(1, RELOADS + 1):
            file.says(**seen(str(number), setup.image))
            assert (await harness.server.reload()).error == ""
            await trio.sleep(0.1)
        over.set()
    assert harness.said.count("MOORAGE_RELOADED") == RELOADS
    assert logins > 3


async def test_the_agent_is_brought_when_a_reload_allows_it(setup: Setup) -> None:
    """And those who came before go on without it."""
    file = File(setup.settings())
    async with setup.harness(reread=file.read) as harness, harness.client() as before:
        assert await before.run("echo out") == Done(0, b"out\n", b"")
        file.says(transport="served")
        answer = await harness.server.reload()
        assert answer.changes == ('docker.execution.transport: "exec" -> "served"',)
        assert harness.said.count("MOORAGE_AGENT_READY") == 1
        assert await before.run("echo out") == Done(0, b"out\n", b"")
        assert "MOORAGE_SPAWN" not in harness.said
        async with harness.client() as after:
            assert await after.run("echo out") == Done(0, b"out\n", b"")
        assert "MOORAGE_SPAWN" in harness.said
        file.says(transport="served", disable_agent=False, image_pull_policy="Never")
        assert (await harness.server.reload()).error == ""
        assert harness.said.count("MOORAGE_AGENT_READY") == 1  # it is there


async def reload(folder: Path, *args: str) -> "subprocess.CompletedProcess[bytes]":
    """`moorage reload`."""
    command = [sys.executable, "-m", "moorage", "reload", *args]
    return await trio.run_process(command, cwd=folder, env={"PYTHONPATH": str(HOME)}, capture_stdout=True,
                                  capture_stderr=True, check=False)  # fmt: skip


async def count(server: Served, code: str, number: int) -> dict[str, Any]:
    """Wait until it has said this code so often; the details of the last."""
    with trio.fail_after(30):
        while len(found := [line for line in server.said if line["code"] == code]) < number:  # noqa: ASYNC110
            await trio.sleep(0.02)
    details: dict[str, Any] = found[-1]["details"]
    return details


async def test_by_command_and_by_signal(setup: Setup) -> None:
    file = setup.folder / "config.yaml"

    def write(**changes: Any) -> None:
        tree = json.loads(file.read_text())
        for section, keys in changes.items():
            tree.setdefault(section, {}).update(keys)
        file.write_text(json.dumps(tree))

    async with served(setup.folder, setup.image) as server, session(setup, server, "read x; echo $x") as bystander:
        same = await reload(setup.folder, "--config", str(file))
        assert same.returncode == 0 and b"nothing in it has changed" in same.stdout
        write(ssh={"banner": "moved", "listen": "127.0.0.1:1"}, auth={"users": {"bob": {"passwordHash": HASH}}})
        done = await reload(setup.folder, "--state", "state")
        assert (done.returncode, done.stderr) == (0, b"")
        said = done.stdout.decode().splitlines()
        assert said[1:] == [
            '  ssh.listen: "127.0.0.1:0" -> "127.0.0.1:1" (needs a restart)',
            '  ssh.banner: "" -> "moved"',
            "  auth.users.alice: removed",
            "  auth.users.bob: added: ***",
        ]
        assert HASH not in done.stdout.decode() + str(server.said)
        details = await count(server, "MOORAGE_RELOADED", 2)
        assert [f"  {change}" for change in details["changes"]] == said[1:]

        # A bad one, by command and by signal: the sentence for the caller and in the log, and the old one stays.
        write(ssh={"banana": "x"})
        bad = await reload(setup.folder, "--config", str(file))
        assert bad.returncode == 1 and b"ssh.banana: unknown key" in bad.stderr and bad.stdout == b""
        assert "ssh.banana: unknown key" in (await count(server, "MOORAGE_RELOAD_REFUSED", 1))["why"]
        server.process.send_signal(signal.SIGHUP)
        await count(server, "MOORAGE_RELOAD_REFUSED", 2)
        file.write_text("{")
        server.process.send_signal(signal.SIGHUP)
        assert "cannot be read" in (await count(server, "MOORAGE_RELOAD_REFUSED", 3))["why"]
        unreadable = await reload(setup.folder, "--config", str(file))
        assert unreadable.returncode == 2

        # The level follows: nothing below it is told any more, not even a reload; and the bystander is as he was.
        file.write_text(json.dumps({**TREE, "log": {"level": "error"}, "state": "state"}))
        server.process.send_signal(signal.SIGHUP)
        await count(server, "MOORAGE_RELOADED", 3)
        assert bystander.stdin is not None and bystander.stdout is not None
        await bystander.stdin.send_all(b"ahoy\n")
        assert await bystander.stdout.receive_some() == b"ahoy\n"
        assert await bystander.wait() == 0
        assert (await reload(setup.folder, "--state", "state")).returncode == 0
        file.write_text("{")
        assert (await reload(setup.folder, "--state", "state")).returncode == 1
        await count(server, "MOORAGE_RELOAD_REFUSED", 4)
        at = max(place for place, line in enumerate(server.said) if line["code"] == "MOORAGE_RELOADED")
        assert [line["code"] for line in server.said[at + 1 :]] == ["MOORAGE_RELOAD_REFUSED"]
    gone = await reload(setup.folder, "--state", "state")
    assert gone.returncode == 1 and b"no daemon serves" in gone.stderr


HASH = "$2b$12$" + "a" * 53
TREE: dict[str, Any] = {
    "ssh": {"listen": "127.0.0.1:0", "hostkeys": ["host_key"]},
    "auth": {"users": {USER: {"authorizedKeys": ["user_key.pub"]}}},
}
