"""The `rules` section: which logins are given other settings than the file's. `rules.py` decides by it."""

from msgspec import Struct

from protocol.settings_types import PartTree


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A login that meets every condition that is given gets `settings` laid over, and may choose one of `templates`.

    `settings` is a part as `settings_read.read_part` gives it.

    A condition is met when any item of its list fits: patterns of user and group names, fingerprints, networks.
    """

    name: str = ""
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    settings: PartTree = {}
    templates: tuple[str, ...] = ()
