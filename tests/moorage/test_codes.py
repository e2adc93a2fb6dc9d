"""`moorage codes` and `docs/codes.md`; and that what rows say is registered, and what is registered is said."""

import io
import os
from pathlib import Path

import msgspec
import pytest

from fsm.machines import MACHINES
from moorage.codes import Entry, codes_command, entries, registry

PAGE = Path(__file__).parents[2] / "docs" / "codes.md"


def run(code: str | None, format: str = "text") -> tuple[int, str]:
    out = io.StringIO()
    return codes_command(code, format, out), out.getvalue()


def test_the_page_is_fresh() -> None:
    _, text = run(None, "markdown")
    if "MOORAGE_UPDATE" in os.environ:
        PAGE.write_text(text)
    assert PAGE.read_text() == text, "docs/codes.md is stale: run the tests once with MOORAGE_UPDATE=1"


def test_every_code_that_a_row_says_is_registered() -> None:
    said = {code.name for kind in MACHINES.values() for row in kind.rows for code in row.says}
    assert said <= set(registry())


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.code)
def test_every_code_is_explained_and_comes_from_somewhere(entry: Entry) -> None:
    assert entry.text and entry.explains
    assert entry.rows or entry.outside, f"{entry.code} is emitted by no row and not marked as outside"


def test_one_code() -> None:
    code, text = run("docker_container_create_failed")
    assert code == 0
    assert text.startswith("DOCKER_CONTAINER_CREATE_FAILED  error\n    the container could not be created\n")
    assert "    the user reads: the container could not be created: {why}\n" in text
    assert "    - container CT0303 CREATING CreateFailed [nothing_was_made]\n" in text
    assert "    - container CT0304 CREATING CreateFailed [may_try_again] (at debug)\n" in text


def test_an_outside_code() -> None:
    assert run("MOORAGE_RECORD_FAILED")[1].endswith("    - outside the machines\n")


def test_all_formats_have_all_codes() -> None:
    names = set(registry())
    found = msgspec.json.decode(run(None, "json")[1], type=list[Entry])
    assert {entry.code for entry in found} == names
    for format in ("text", "markdown"):
        text = run(None, format)[1]
        assert all(name in text for name in names)


def test_mistakes_get_a_sentence() -> None:
    code, text = run("DOCKER_IMAGE_PUL_FAILED")
    assert (code, text) == (
        2,
        "moorage codes: there is no code 'DOCKER_IMAGE_PUL_FAILED'; the nearest is DOCKER_IMAGE_PULL_FAILED\n",
    )
    assert run(None, "pdf") == (2, "moorage codes: format 'pdf' is unknown; there are text, json, markdown\n")
