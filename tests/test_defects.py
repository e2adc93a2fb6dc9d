"""ContainerSSH's defects that our configuration, ways in and policy must not have, and which test proves it of each.

The numbers are those of the list of its defects that this project began with. A test is named `file::function`, or
`run NAME` for one of `tests/e2e/runs*.py`.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
INCUMBENT, ENGINE = "e2e/test_incumbent.py", "actors/engine"
DEFECTS: dict[str, tuple[str, ...]] = {
    # `execution.auth` is read and dropped.
    "D12": (
        f"{INCUMBENT}::test_a_registry_login_reaches_the_settings_in_yaml_and_in_json",
        f"{ENGINE}/test_contract_pulls.py::test_login",
    ),
    # An error in the stream of a pull is not seen.
    "D14": (
        f"{INCUMBENT}::test_an_error_within_a_pull_is_told_and_not_tried_for_a_minute",
        f"{ENGINE}/test_contract_pulls.py::test_error_in_the_stream_is_a_fault",
    ),
    # The limit of one HTTP call covers a whole pull.
    "D15": (f"{INCUMBENT}::test_the_http_limit_does_not_cover_a_pull",),
    # A pull is not told the platform.
    "D16": (f"{INCUMBENT}::test_a_pull_knows_the_platform", f"{ENGINE}/test_contract_pulls.py::test_platform"),
    # Permanent errors are tried again for a minute.
    "D17": (f"{INCUMBENT}::test_permanent_errors_are_not_repeated",),
    # A failed look for the image says `<nil>`.
    "D18": (f"{INCUMBENT}::test_a_failed_look_for_the_image_has_its_reason",),
    # With authz, a GSSAPI login that nobody has set up ends the daemon.
    "D34": (
        f"{INCUMBENT}::test_gssapi_with_authz_is_turned_down_before_the_login_and_harms_nobody",
        "actors/ssh/test_bad_input.py::test_methods_that_nobody_has_are_turned_down",
    ),
    # Signals follow the shell's mode.
    "D50": (f"{INCUMBENT}::test_the_signal_policy_is_not_the_shells", "e2e/test_security.py::test_signals"),
    # `maxSessions` counts for life, and 0 is no limit.
    "D51": (
        "e2e/test_security.py::test_commands_over_a_master_connection",
        "e2e/test_security.py::test_sessions_are_counted_while_they_are_open",
        "e2e/test_security.py::test_no_session_at_all",
    ),
    # A typo in a forwarding mode enables it.
    "D52": (f"{INCUMBENT}::test_a_typo_in_a_forwarding_mode_is_refused",),
    # Passwords and answers are always in the audit log.
    "D53": (
        "actors/ssh/test_factors.py::test_no_secret_is_written_down",
        "moorage/test_ways_in.py::test_a_key_a_code_and_the_limit",
        "moorage/test_ways_in.py::test_services_that_say_yes_no_and_nothing",
    ),
    # Slow storage of the audit log blocks the session.
    "D54": (
        f"{INCUMBENT}::test_a_disk_that_hangs_under_the_recordings_keeps_nobody_waiting",
        f"{INCUMBENT}::test_a_disk_that_takes_too_little_costs_recordings_and_no_memory",
        f"{INCUMBENT}::test_at_the_end_a_disk_that_hangs_is_told_and_left",
    ),
    # The configuration webhook can set nothing to false, 0 or empty.
    "D55": (
        "run connection-webhook-configures",
        "protocol/test_settings_part.py::test_false_zero_and_empty_can_be_said",
    ),
    # The OAuth state is never compared, membership never checked, "sensitive" never heeded.
    "D56": (
        "actors/web/test_oidc.py::test_a_code_is_good_for_the_login_that_showed_it_and_no_other",
        "actors/web/test_oidc.py::test_a_discovery_document_of_somebody_else",
        "protocol/test_settings_unserved.py::test_a_promise_of_a_provider_that_is_not_served_is_refused",
        "actors/web/test_config_webhook.py::test_what_is_sensitive_is_sent_where_the_configuration_says_so",
        "actors/ssh/test_factors.py::test_what_is_sensitive_is_kept_from_the_last_word",
    ),
    # Health listens when it is off, metrics call themselves health, syslog has a bad time, a log that cannot be
    # written ends the daemon.
    "D57": (
        f"{INCUMBENT}::test_what_is_switched_off_does_not_listen",
        "moorage/test_logs.py::test_syslog_head",
        "moorage/test_logs.py::test_a_write_error_goes_to_stderr_and_is_said_once",
        "moorage/test_logs.py::test_a_pipe_that_nobody_reads_stops_nobody",
    ),
    # No deadline for the handshake, a fixed number of tries, no limit for an address.
    "D58": (
        "e2e/test_bad_input.py::test_a_half_open_handshake_ends_with_the_login_grace",
        "e2e/test_bad_input.py::test_a_silent_login_ends_with_the_login_grace",
        "actors/ssh/test_connection.py::test_too_many_tries_end_the_connection",
        "e2e/test_attacks.py::test_a_flood_of_connections",
        "run connection-limit-address",
    ),
}
ALL = {"D12", *(f"D{number}" for number in range(14, 19)), "D34", *(f"D{number}" for number in range(50, 59))}


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@cache
def runs() -> str:
    return "".join(path.read_text() for path in sorted((TESTS / "e2e").glob("runs*.py")))


def test_none_is_forgotten() -> None:
    assert set(DEFECTS) == ALL


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_has_tests_that_are_there(defect: str) -> None:
    for name in DEFECTS[defect]:
        file, _, function = name.partition("::")
        if function:
            assert function in functions(file), name
        else:
            assert f'@run("{name.removeprefix("run ")}"' in runs() or f'"{name.removeprefix("run ")}"' in runs(), name
