"""The command line: its help as a golden text, its exit codes, and that it fails in sentences."""

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from moorage.cli import COMMANDS, main
from moorage.commands.problem import Problem, sentences
from moorage.version import VERSION
from tests.codes_heard import hear

GOLDEN = Path(__file__).parent / "golden" / "help.txt"


def moorage(*words: str, text: str = "") -> Result:
    return CliRunner().invoke(main, words, input=text, prog_name="moorage", terminal_width=100)


def test_the_help_is_as_reviewed() -> None:
    pages = [(), *((name,) for name in COMMANDS)]
    text = "\n".join(f"$ moorage {' '.join([*page, '--help'])}\n{moorage(*page, '--help').output}" for page in pages)
    if "MOORAGE_UPDATE" in os.environ:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "the help has changed: run once with MOORAGE_UPDATE=1 and review the diff"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_own_name_and_no_cut_summary(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert f"  {name} " in moorage("--help").output
    assert not command.get_short_help_str(60).endswith("...")


def test_version() -> None:
    assert moorage("--version").output == f"moorage {VERSION}\n"


@pytest.mark.parametrize("words", [("serv",), ("serve",), ("replay",), ("codes", "--format", "xml")])
def test_a_wrong_command_line_is_2(words: tuple[str, ...]) -> None:
    assert moorage(*words).exit_code == 2


def test_an_unreadable_configuration_is_a_sentence(tmp_path: Path) -> None:
    done = moorage("serve", "--config", str(tmp_path / "none.yaml"))
    assert done.exit_code == 2
    missing = tmp_path / "none.yaml"
    assert done.stderr == f"moorage: the configuration cannot be read: {missing}: No such file or directory\n"


def test_a_bad_configuration_names_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("ssh: {lisen: 1}\nbackend: kubernetes\n")
    done = moorage("serve", "--config", str(path))
    assert done.exit_code == 1
    hear(done.stderr)
    first, *rest = done.stderr.splitlines()
    assert first == f"moorage: DOCKER_CONFIG_ERROR: {path} cannot be used:"
    assert any("ssh.lisen" in line for line in rest) and any("backend" in line for line in rest)


def test_check_config(tmp_path: Path) -> None:
    done = moorage("check-config", str(tmp_path / "none.yaml"))
    assert (done.exit_code, "No such file" in done.output) == (2, True)


def test_hash_password_reads_one_line() -> None:
    done = moorage("hash-password", text="secret words\nnot this\n")
    assert done.exit_code == 0
    assert done.output.startswith("$argon2id$") and "secret" not in done.output
    from actors.passwords import verify_sync

    assert verify_sync(done.output.strip(), "secret words")


def test_an_empty_password_is_refused() -> None:
    done = moorage("hash-password", text="\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("moorage: a password has ")


def test_codes_and_diagrams_go_to_stdout_and_refusals_to_stderr(tmp_path: Path) -> None:
    assert "MOORAGE_READY" in moorage("codes", "moorage_ready").stdout
    wrong = moorage("codes", "MOORAGE_REDY")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert wrong.stderr == "moorage: codes: there is no code 'MOORAGE_REDY'; the nearest is MOORAGE_READY\n"
    picture = tmp_path / "image.mmd"
    assert moorage("diagram", "image", "-o", str(picture)).exit_code == 0
    assert "stateDiagram-v2" in picture.read_text()
    assert moorage("diagram", "imag").exit_code == 2
    nowhere = moorage("diagram", "image", "-o", str(tmp_path / "no" / "image.mmd"))
    assert nowhere.stderr == f"moorage: {tmp_path}/no/image.mmd: No such file or directory\n"


def test_replay_gives_the_verdict_as_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "garbage.jsonl"
    path.write_text("garbage\n")
    assert moorage("replay", str(path)).exit_code == 2


def test_sentences_out_of_groups() -> None:
    with pytest.raises(Problem, match=r"^just this$"), sentences(ValueError):
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError("just this")])])
    with pytest.raises(ExceptionGroup), sentences(ValueError):
        raise ExceptionGroup("two", [ValueError("one"), ValueError("other")])
    with pytest.raises(KeyError), sentences(ValueError):
        raise KeyError("a defect of ours keeps its traceback")
