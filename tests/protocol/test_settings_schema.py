"""The schema file, the table in the documents and the texts of the keys follow the types."""

import os
from pathlib import Path

import msgspec
import pytest

from protocol.settings_engine import TREES
from protocol.settings_keys import KEYS
from protocol.settings_schema import fields, render_schema, render_table, schema

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "config/moorage.schema.json"
PAGE = ROOT / "docs/configuration.md"
BEGIN, END = "refresh with MOORAGE_UPDATE=1 -->\n", "<!-- end of keys -->"


def _is_update() -> bool:
    return os.environ.get("MOORAGE_UPDATE") == "1"


def test_each_key_has_its_text_and_each_text_its_key() -> None:
    assert [path for path, _, _ in fields()] == list(KEYS)


def test_the_schema_file_is_fresh() -> None:
    if _is_update():
        SCHEMA.write_text(render_schema())
    assert SCHEMA.read_text() == render_schema()


def test_the_table_in_the_documents_is_fresh() -> None:
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    old, _, tail = rest.partition(END)
    if _is_update():
        PAGE.write_text(f"{head}{BEGIN}{render_table()}{END}{tail}")
        old = render_table()
    assert old == render_table()


def test_every_section_refuses_unknown_keys_and_every_key_is_described() -> None:
    parts = schema()["$defs"]
    for _, owner, field in fields():
        assert parts[owner]["additionalProperties"] is False
        assert parts[owner]["properties"][field.encode_name]["description"]


def test_defaults_of_durations_have_their_unit() -> None:
    parts = schema()["$defs"]
    assert parts["Timeouts"]["properties"]["http"]["default"] == "15s"
    assert parts["Ssh"]["properties"]["clientAliveInterval"]["default"] == 0


@pytest.mark.parametrize("name", TREES)
def test_engine_objects_are_in_the_schema_in_both_spellings(name: str) -> None:
    parts = schema()["$defs"]
    assert parts["Execution"]["properties"][name]["$ref"] == f"#/$defs/{name.title()}"
    properties = parts[name.title()]["properties"]
    assert properties
    for field in TREES[name].__annotations__:
        assert field in properties
        assert field.lower() in properties


def test_no_reference_in_the_schema_leads_nowhere() -> None:
    tree = schema()
    text = msgspec.json.encode(tree).decode()
    named = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert named <= set(tree["$defs"])
    assert "resources" in tree["$defs"]["Host"]["properties"]
