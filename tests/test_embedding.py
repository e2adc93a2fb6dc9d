"""docs/embedding.md: its program is run as it stands, and what it names is there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import moorage
from moorage.daemon import Server
from moorage.first_run import prepare
from moorage.testing import FakeEngine
from protocol.settings import GUEST_IMAGE
from tests.fixtures_engine import missing

HOME = Path(__file__).parent.parent
PAGE = (HOME / "docs" / "embedding.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.engine
@pytest.mark.openssh
def test_the_program_does_what_the_page_says(busybox_image: str, tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        missing("no OpenSSH client (Debian: openssh-client)")
    prepare(tmp_path / "var", busybox_image, listen="127.0.0.1:0")
    (tmp_path / "program.py").write_text(block("python"))
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    command, _, output = block("console").partition("\n")
    assert command == "$ .venv/bin/python program.py"
    assert (done.returncode, done.stdout, done.stderr) == (0, output, "")


@pytest.mark.trio
async def test_two_of_them_in_one_program(tmp_path: Path) -> None:
    one, two = (
        moorage.load(prepare(tmp_path / name, GUEST_IMAGE, listen="127.0.0.1:0").config).settings
        for name in ("one", "two")
    )
    async with (
        FakeEngine.open() as engine,
        moorage.serve(one, engine=engine) as first,
        moorage.serve(two, engine=engine) as second,
    ):
        assert first.port != second.port
        for server in (first, second):
            async with await trio.open_tcp_stream(*server.addresses[0]) as stream:
                assert (await stream.receive_some(8)) == b"SSH-2.0-"


def test_what_the_page_names_is_there() -> None:
    assert set(re.findall(r"^\| `moorage\.(\w+)", PAGE, re.MULTILINE)) == set(moorage.__all__)
    members = re.findall(r"^\| (`[^|]*`) \|", PAGE.partition("of a `Server`")[2], re.MULTILINE)
    names = re.findall(r"`(?:await )?(\w+)", " ".join(members))
    assert names == ["addresses", "port", "shutdown", "reload", "wait_stopped", "statistics"]
    assert all(name == "addresses" or hasattr(Server, name) for name in names)
