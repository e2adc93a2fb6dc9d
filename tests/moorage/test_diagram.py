"""`moorage diagram`, and the pages in `docs/states/`, which must not be stale (MOORAGE_UPDATE=1 writes them anew)."""

import io
import os
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from fsm.diagram import dot, mermaid
from fsm.kernel import Kind
from fsm.machines import MACHINES
from moorage.diagram import NO_GRAPHVIZ, diagram_command, digest, index, svg
from tests.toy import DOORS, record

PAGES = Path(__file__).parents[2] / "docs" / "states"
UPDATE = "MOORAGE_UPDATE" in os.environ
needs_graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason=NO_GRAPHVIZ)


def run(machine: str | None, format: str, path: Path | None = None, stays: bool = True) -> tuple[int, str]:
    out = io.StringIO()
    return diagram_command(machine, format, str(path) if path else None, out, stays, DOORS), out.getvalue()


def fresh(path: Path, text: str) -> None:
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, f"{path.name} is stale: run the tests once with MOORAGE_UPDATE=1"


@pytest.mark.parametrize("kind", MACHINES.values(), ids=MACHINES)
def test_mermaid_pages_are_fresh(kind: Kind) -> None:
    fresh(PAGES / f"{kind.name}.mmd", mermaid(kind))


@pytest.mark.parametrize("kind", MACHINES.values(), ids=MACHINES)
def test_svg_pages_are_fresh(kind: Kind) -> None:
    """Layouts differ by graphviz and fonts, so the rows' hash is compared, which `svg` writes into the file."""
    path, text = PAGES / f"{kind.name}.svg", dot(kind)
    if UPDATE and digest(text) not in (path.read_text() if path.exists() else ""):
        path.write_text(svg(text))
    assert f"<!-- rows {digest(text)} -->" in path.read_text(), f"{path.name} is stale: MOORAGE_UPDATE=1"
    root = ElementTree.fromstring(path.read_text())
    shown = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {row.id for row in kind.rows} <= shown and {state.name for state in kind.states} <= shown


def test_the_index_is_fresh() -> None:
    fresh(PAGES / "README.md", index())


def test_no_page_is_left_of_a_machine_that_is_gone() -> None:
    assert {path.name for path in PAGES.iterdir()} == {
        "README.md",
        *(f"{name}.{ending}" for name in MACHINES for ending in ("svg", "mmd")),
    }


def test_one_machine_or_all() -> None:
    assert run("door", "mermaid") == (0, mermaid(DOORS["door"])) == run(None, "mermaid")
    assert run("door", "dot") == (0, dot(DOORS["door"]))
    assert run("door", "dot", stays=False) == (0, dot(DOORS["door"], stays=False))
    out = io.StringIO()
    assert diagram_command(None, "dot", None, out) == 0
    assert out.getvalue().count("digraph") == len(MACHINES)


def test_what_cannot_be_drawn_is_said_in_a_sentence(tmp_path: Path) -> None:
    assert run("gate", "dot") == (2, "moorage diagram: there is no machine 'gate'; there are door\n")
    assert run("door", "png") == (2, "moorage diagram: format 'png' is unknown; there are mermaid, dot, svg\n")
    code, text = run("door", "dot", tmp_path / "none")
    assert code == 2 and "cannot be read" in text
    (tmp_path / "bad").write_text("{}")
    assert run("door", "dot", tmp_path / "bad")[0] == 2


def test_a_scenario_without_that_machine_is_said(tmp_path: Path) -> None:
    out = io.StringIO()
    assert diagram_command("image", "dot", str(record(tmp_path)), out) == 2
    assert "no step of the image machine" in out.getvalue()


def test_the_way_of_a_recorded_run(tmp_path: Path) -> None:
    code, text = run("door", "mermaid", record(tmp_path))
    assert code == 0 and "title: door machine, the way of door-1" in text
    assert re.findall(r"\d at \+\d\.\d+ s\) \w+", text) == [
        "1 at +0.000 s) DR0101",
        "3 at +0.750 s) DR0201",
        "2 at +0.250 s) DR0202",
        "4 at +1.250 s) DR0302",
    ]
    assert run(None, "mermaid", record(tmp_path / "x"))[1] == text


@needs_graphviz
def test_svg_of_one_and_of_several(tmp_path: Path) -> None:
    code, text = run("door", "svg", record(tmp_path))
    assert code == 0 and "4 at +1.250 s" in text
    ElementTree.fromstring(text)
    out = io.StringIO()
    assert diagram_command(None, "svg", None, out, machines={"door": DOORS["door"], "image": MACHINES["image"]}) == 0
    root = ElementTree.fromstring(out.getvalue())
    tall = [element for element in root if element.tag.endswith("svg")]
    assert len(tall) == 2 and float(tall[1].get("y", 0)) >= float(tall[0].get("height", 0))
    assert float(root.get("height", "0pt")[:-2]) >= sum(float(element.get("height", 0)) for element in tall)


def test_without_graphviz_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("door", "svg") == (2, f"moorage diagram: {NO_GRAPHVIZ}\n")


def test_a_graphviz_that_fails_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho no luck >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run("door", "svg") == (2, "moorage diagram: graphviz failed: no luck\n")
