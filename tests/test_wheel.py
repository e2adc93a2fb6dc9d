"""The wheel as a user gets it: a fresh environment, an empty directory, and once beside somebody else's `protocol`."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
PYTHON = sys.executable


class Installed:
    """An environment with the wheel in it. Its libraries are this environment's: only the package is under test."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.empty = folder / "empty"
        self.empty.mkdir()
        self.bin = folder / "venv" / "bin"
        run([PYTHON, "-m", "venv", "--without-pip", str(folder / "venv")])
        (self.site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        pip = [PYTHON, "-m", "pip", "--python", str(self.bin / "python"), "--disable-pip-version-check", "--quiet"]
        run([*pip, "install", "--no-deps", "--no-index", str(wheel)])
        libraries = [entry for entry in sys.path if entry.endswith("site-packages")]
        (self.site / "libraries.pth").write_text("\n".join(libraries) + "\n")

    def run(self, *words: str, folder: Path | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        """One of its programs, with nothing of this checkout on its path."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [str(self.bin / words[0]), *words[1:]]
        where = folder or self.empty
        return subprocess.run(command, cwd=where, env=clean | env, capture_output=True, text=True, check=False)


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling.build")
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run([PYTHON, "-c", code, str(folder)], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


def test_the_wheel_adds_one_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"moorage"}
    for wanted in ("actors/ports.py", "fsm/kernel.py", "protocol/base.py", "config/moorage.yaml"):
        assert f"moorage/_rooms/{wanted}" in names
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_every_source_file_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for room in ("actors", "fsm", "protocol"):
        for path in (HOME / room).rglob("*.py"):
            assert f"moorage/_rooms/{path.relative_to(HOME).as_posix()}" in names
    for path in (HOME / "moorage").rglob("*.py"):
        assert path.relative_to(HOME).as_posix() in names


def test_the_agents_that_were_built_are_in_the_wheel(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    names = {name for name in archive.namelist() if name.startswith("moorage/bin/")}
    built = {path.relative_to(HOME).as_posix(): path for path in (HOME / "moorage" / "bin").glob("agent-*")}
    assert names == set(built)
    assert all(archive.read(name) == path.read_bytes() for name, path in built.items())


def test_a_released_wheel_has_both_agents(tmp_path: Path) -> None:
    pytest.importorskip("hatchling.build")
    if all((HOME / "moorage" / "bin" / f"agent-{name}").is_file() for name in ("x86_64", "aarch64")):
        pytest.skip("both are here: nothing can be missing")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    env = os.environ | {"MOORAGE_RELEASE": "1"}
    command = [PYTHON, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=HOME, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "run `make -C agent release` first" in done.stderr


def test_the_command_works_from_an_empty_directory(installed: Installed) -> None:
    from moorage.version import VERSION

    done = installed.run("moorage", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"moorage {VERSION}\n", "")
    assert not list(installed.empty.iterdir())


def test_the_rooms_are_the_wheels_own(installed: Installed) -> None:
    code = "import moorage, fsm.kernel, protocol, actors.ports; print(fsm.kernel.__file__, protocol.__file__)"
    done = installed.run("python", "-c", code)
    assert done.stderr == ""
    assert all("/moorage/_rooms/" in path for path in done.stdout.split())


def test_machines_run_from_the_wheel(installed: Installed) -> None:
    done = installed.run("moorage", "diagram", "image")
    assert done.returncode == 0, done.stderr
    assert "stateDiagram-v2" in done.stdout


@pytest.mark.parametrize("words", [("moorage", "--version"), ("python", "-m", "moorage", "--version")])
def test_a_hostile_neighbour_gets_one_sentence(installed: Installed, tmp_path: Path, words: tuple[str, ...]) -> None:
    theirs = tmp_path / "protocol"
    theirs.mkdir()
    (theirs / "__init__.py").write_text("")
    done = installed.run(*words, folder=tmp_path, PYTHONPATH=str(tmp_path))
    ours = installed.site / "moorage" / "_rooms" / "protocol"
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"moorage: MOORAGE_ROOM_CLASH: the name 'protocol' leads to {theirs} here and not to Moorage's own {ours}; "
        "start Moorage where no other package has that name, or in an environment of its own\n"
    )


def test_an_embedding_program_can_catch_the_clash(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "fsm.py").write_text("")
    code = "try:\n    import moorage\nexcept ImportError as error:\n    print(error)"
    done = installed.run("python", "-c", code, PYTHONPATH=str(tmp_path))
    assert done.stderr == ""
    assert f"the name 'fsm' leads to {tmp_path}/fsm.py here" in done.stdout


def test_a_folder_that_is_no_package_does_not_clash(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "actors").mkdir()
    done = installed.run("moorage", "--version", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_costs_little(installed: Installed) -> None:
    """CPU time, best of five, at most 0.5 s; and none of the heavy libraries is loaded by the import."""
    code = (
        "import time, sys; a = time.process_time(); import moorage, moorage.cli; print(time.process_time() - a);"
        "print([name for name in ('asyncssh', 'aiodocker', 'trio', 'transitions', 'msgspec') if name in sys.modules])"
    )
    answers = [installed.run("python", "-c", code).stdout.splitlines() for _ in range(5)]
    assert min(float(seconds) for seconds, _ in answers) <= 0.5
    assert answers[0][1] == "[]"


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.openssh
def test_a_login_from_the_wheel(installed: Installed, dockerd: str, tmp_path: Path) -> None:
    """First run, login and end in a folder where nothing has been; the agent is the one in the wheel."""
    done = installed.run("moorage", "demo", "--folder", "here", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first = "agent" if (HOME / "moorage" / "bin" / f"agent-{os.uname().machine}").is_file() else "sh"
    assert re.search(rf"^Ahoy from [0-9a-f]{{12}}, where PID 1 is {first}$", done.stdout, re.MULTILINE)
    assert {path.name for path in tmp_path.iterdir()} == {"here"}


@pytest.mark.slow
def test_its_libraries_come_with_it(wheel: Path, tmp_path: Path) -> None:
    """An environment that has nothing, and the package index: what is imported is what the wheel asks for."""
    run([PYTHON, "-m", "venv", str(tmp_path / "venv")])
    python = str(tmp_path / "venv" / "bin" / "python")
    run([python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", str(wheel)])
    run([python, "-m", "pip", "check"])
    rooms = [*(HOME / "moorage").rglob("*.py"), *(HOME / "actors").rglob("*.py"), *(HOME / "fsm").rglob("*.py")]
    names = sorted(".".join(path.relative_to(HOME).with_suffix("").parts) for path in rooms)
    wanted = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    code = "import importlib, moorage, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    run(["env", "-C", str(tmp_path), python, "-I", "-c", code, *wanted])
    run([str(tmp_path / "venv" / "bin" / "moorage"), "diagram", "container"])
