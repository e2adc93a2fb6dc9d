"""README.md: what it shows is what happens. Names and numbers that differ from run to run are masked."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from click import Context
from click.testing import CliRunner

from moorage.cli import main
from moorage.first_run import as_text, prepare, ssh_line
from protocol.settings import GUEST_IMAGE
from tests.e2e.terminal import open_terminal
from tests.fixtures_engine import busybox, missing
from tests.moorage.test_demo import Up, free_port

HOME = Path(__file__).parent.parent
README = (HOME / "README.md").read_text()
BLOCKS = re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
RECORDED = {"docs/performance.md", "scenarios/"}  # of runs, so they need not be in every copy


def shown(command: str) -> list[str]:
    """The lines that the README shows under a command, up to the next one; where it shows it twice, the fuller."""
    found: list[list[str]] = []
    for block in BLOCKS:
        lines = block.splitlines()
        if f"$ {command}" in lines:
            after = lines[lines.index(f"$ {command}") + 1 :]
            found.append(after[: next((at for at, line in enumerate(after) if line.startswith("$ ")), len(after))])
    assert found, f"README.md does not show `{command}`"
    return max(found, key=len)


def masked(line: str) -> str:
    """Hex names, numbers, keys and dates are the run's own."""
    line = re.sub(r"SHA256:[\w+/]+", "SHA256:…", line)
    line = re.sub(r"\b\d{8}T[\w.-]+\.jsonl|\S+\.jsonl\b", "FILE", line)
    return re.sub(r"\b(?:[0-9a-f]{12,}|\d+(?:\.\d+)?)\b", "N", line)


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    assert links
    assert {link for link in links if "://" not in link and not (HOME / link).exists()} <= RECORDED


def test_every_target_is_one_of_the_makefile() -> None:
    named = set(re.findall(r"`make ([a-z-]+)`", README)) | set(re.findall(r"^\$ make ([a-z-]+)", README, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (HOME / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test", "test-all", "demo"} <= named <= targets


def test_every_subcommand_is_there() -> None:
    named = set(re.findall(r"[`$] ?moorage ([a-z-]+)", README))
    assert {"serve", "codes", "replay", "diagram", "guest-image"} & named and named <= set(
        main.list_commands(Context(main))
    )


def test_the_first_run_prints_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = as_text(ssh_line(prepare(Path("var"), GUEST_IMAGE), ("127.0.0.1", 2222)))
    assert f"    {line}" in BLOCKS[1].splitlines()
    assert "Moorage is ready. Log in from another terminal; Ctrl-C here ends it." in shown("make run")


def test_a_code_is_explained_with_its_row() -> None:
    (name,) = re.findall(r"`moorage codes (\w+)` explains it and names the row", README)
    said = CliRunner().invoke(main, ["codes", name])
    assert said.exit_code == 0
    assert re.search(r"\b[A-Z]{2}\d{4}\b", said.output)


@pytest.fixture
def up(dockerd: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Up]:
    """What `make run` runs, in a folder of its own; the parameter is added to its configuration."""
    busybox()
    if shutil.which("ssh") is None:
        missing("no OpenSSH client (Debian: openssh-client)")
    listen = f"127.0.0.1:{free_port()}"
    home = prepare(tmp_path / "var", GUEST_IMAGE, listen=listen, record="scenarios")
    text = home.config.read_text()
    for old, new in getattr(request, "param", {}).items():
        assert old in text
        text = text.replace(old, new)
    home.config.write_text(text)
    started = Up(tmp_path)
    try:
        yield started
    finally:
        assert started.stop() == 0


def typed(up: Up, line: str) -> list[str]:
    """A line of the README in a shell, with the login that was printed for `ssh demo`; what it says, all in one."""
    real_line = line.replace("ssh demo", f"{up.line} -o BatchMode=yes")
    done = subprocess.run(
        ["sh", "-c", f"{real_line}"],
        cwd=up.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout.splitlines()


@pytest.mark.engine
@pytest.mark.openssh
def test_the_tour(up: Up) -> None:
    """The commands of the sixty seconds, then the story of one of them as it was recorded."""
    shutil.copytree(HOME / "docs", up.folder / "docs")
    for line in ("ssh demo 'hostname; exit 7'; echo $?", "tar c docs | ssh demo 'tar t | wc -l'"):
        assert [*map(masked, typed(up, line))] == [*map(masked, shown(line))]
    assert typed(up, "ssh demo 'exit 7'; echo $?") == ["7"]
    trio.run(at_a_terminal, up)
    scenario = min((up.folder / "var" / "scenarios").glob("*.jsonl"))
    words = [sys.executable, "-m", "moorage", "replay", "--explain", str(scenario)]
    told = subprocess.run(words, cwd=HOME, capture_output=True, text=True, check=True).stdout.splitlines()
    (command,) = re.findall(r"^\$ (moorage replay --explain .*)$", README, re.MULTILINE)
    for line in shown(command):
        if line != "…":
            wanted = re.escape(masked(line)).replace("…", ".*")
            assert any(re.fullmatch(wanted, masked(one)) for one in told), line


async def at_a_terminal(up: Up) -> None:
    """`ssh -t demo`, typed at a terminal of the size that the README shows."""
    lines = shown("ssh -t demo")
    rows, columns = map(int, lines[1].split())
    line = up.line.replace("ssh ", "exec ssh -t -o BatchMode=yes ", 1)
    async with open_terminal(["sh", "-c", f"cd {up.folder} && {line}"], columns, rows) as terminal:
        await terminal.until(b"~ # ")
        await terminal.type(b"stty size\n")
        await terminal.until(lines[1].encode())
        await terminal.type(b"exit\n")
        assert await terminal.end() == 0


@pytest.mark.engine
@pytest.mark.openssh
@pytest.mark.parametrize(
    "up",
    [{GUEST_IMAGE: "registry.test/tools:3", "imagePullPolicy: IfNotPresent": "imagePullPolicy: Never"}],
    indirect=True,
    ids=["image-absent"],
)
def test_a_failure_is_one_sentence(up: Up) -> None:
    line = "ssh demo true; echo $?"
    assert typed(up, line) == shown(line)
