"""The configuration described for editors (JSON schema) and people (a table), both from the types of `settings.py`."""

from collections.abc import Iterator
from typing import Any, cast

import msgspec
from msgspec import NODEFAULT, inspect

from protocol.settings import Settings
from protocol.settings_engine import TREES, Resources
from protocol.settings_keys import KEYS
from protocol.settings_problem import join

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{name}"
# What may differ from login to login; the reader knows which keys of these sections are of the whole server.
PART = {
    "type": "object",
    "properties": {name.lower(): {"$ref": _REF.format(name=name)} for name in ("Docker", "Security", "Limits")},
    "additionalProperties": False,
}


def render_schema() -> str:
    """config/moorage.schema.json: the schema as text, with a final line feed."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


def schema() -> dict[str, Any]:
    """The schema as a tree. Engine objects have each field in the API's spelling and in lower case."""
    kinds = [Settings, Resources, *TREES.values()]
    (top, *_), parts = msgspec.json.schema_components(kinds, ref_template=_REF)
    parts = cast(dict[str, dict[str, Any]], parts)
    for path, owner, field in fields():
        entry = parts[owner]["properties"][field.encode_name]
        entry["description"] = KEYS[path].meaning
        if isinstance(field.type, inspect.StructType):
            entry.pop("default", None)  # its keys have their own
        extra = _extra(field.type)
        if "engine" in extra:
            entry.clear()
            entry.update({"$ref": f"#/$defs/{extra['engine'].title()}", "description": KEYS[path].meaning})
        elif "part" in extra:
            entry.clear()
            entry.update({**PART, "description": KEYS[path].meaning})
        elif isinstance(field.type, inspect.DictType) and "part" in _extra(field.type.value_type):
            entry["additionalProperties"] = PART
        elif extra.get("unit") == "duration":
            entry.update({"type": ["string", "number"], "default": default_of(field)})
    for name in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
        parts["Healthcheck"]["properties"][name]["type"] = ["integer", "string"]
    for part in parts.values():
        if part["type"] == "object" and "additionalProperties" not in part:
            named = dict(part["properties"])
            part["properties"].update({name.lower(): entry for name, entry in named.items()})
    parts["Host"]["properties"]["resources"] = {"$ref": "#/$defs/Resources"}
    return {"$schema": _DIALECT, "title": "Moorage's configuration", **top, "$defs": parts}


def render_table() -> str:
    """The keys as a Markdown table, for docs/configuration.md; parents before children."""
    lines = ["| key | type | default | meaning | refused |", "|---|---|---|---|---|"]
    for path, _, field in fields():
        default = default_of(field)
        shown = "" if default is NODEFAULT else f"`{msgspec.json.encode(default).decode()}`"
        cells: tuple[str, ...] = (f"`{path}`", type_of(field.type), shown, KEYS[path].meaning, KEYS[path].refused)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def fields(kind: inspect.StructType | None = None, path: str = "") -> Iterator[tuple[str, str, inspect.Field]]:
    """(path, name of the Struct that has it, field) for each key, in the order of `settings.py`."""
    for field in (kind or cast(inspect.StructType, inspect.type_info(Settings))).fields:
        here = join(path, field.encode_name)
        yield here, kind.cls.__name__ if kind else Settings.__name__, field
        below = field.type
        if isinstance(below, inspect.DictType):
            below, here = below.value_type, f"{here}.NAME"
        elif isinstance(below, inspect.VarTupleType):
            below, here = below.item_type, f"{here}[]"
        if isinstance(below, inspect.StructType):
            yield from fields(below, here)


def default_of(field: inspect.Field) -> Any:
    """The default as the file would say it; NODEFAULT for a section, whose keys have their own."""
    value = field.default if field.default_factory is NODEFAULT else field.default_factory()
    if _extra(field.type).get("unit") == "duration":
        return f"{value:g}s" if value else 0
    return NODEFAULT if isinstance(value, msgspec.Struct) else value


def type_of(kind: inspect.Type) -> str:
    """A type in words."""
    extra = _extra(kind)
    if "engine" in extra:
        return "engine object"
    if "part" in extra:
        return "settings"
    if extra.get("unit") == "duration":
        return "duration"
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    match kind:
        case inspect.LiteralType():
            return " or ".join(f"`{value}`" for value in kind.values if value) if len(kind.values) < 5 else "name"
        case inspect.IntType():
            return "whole number" if kind.ge is None else f"whole number, at least {kind.ge}"
        case inspect.VarTupleType():
            return f"list of {type_of(kind.item_type)}"
        case inspect.DictType():
            return f"mapping of names to {type_of(kind.value_type)}"
    words = {
        inspect.StrType: "text",
        inspect.BoolType: "`true` or `false`",
    }
    return words.get(type(kind), "section")


def _extra(kind: inspect.Type) -> dict[str, Any]:
    return (kind.extra or {}) if isinstance(kind, inspect.Metadata) else {}
