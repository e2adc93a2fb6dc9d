"""Paths of the host, followed through links to what they are."""

from pathlib import Path

from msgspec.structs import replace

from actors.engine.mounts import check
from protocol.settings import Docker, Execution, Rule, Settings
from protocol.settings_checks import per_login_problems
from protocol.settings_rules_checks import rule_problems


def test_a_link_to_it_in_a_rule_too(tmp_path: Path) -> None:
    """The file's own settings, a rule's and a template's are followed to what they are."""
    (tmp_path / "var").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "var")
    part = {"docker": {"execution": {"host": {"Binds": [f"{tmp_path}/link:/x"]}}}}
    settings = Settings(state=str(tmp_path / "var"), rules=(Rule(name="r", settings=part),), templates={"t": part})
    assert not list(rule_problems(settings, per_login_problems))
    found = dict(check(settings))
    assert set(found) == {f"{where}.docker.execution.host.Binds[0]" for where in ("rules[0].settings", "templates.t")}
    own = replace(
        settings, rules=(), templates={}, docker=Docker(execution=Execution(host={"Binds": [f"{tmp_path}/link:/x"]}))
    )
    assert [path for path, _ in check(own)] == ["docker.execution.host.Binds[0]"]
