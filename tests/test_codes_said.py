"""Every code that may be said is said by a running daemon in some test; and ContainerSSH's are all accounted for."""

import pytest

from protocol.codes import ALL
from protocol.codes_absent import LATER, RETIRED
from tests.codes_heard import HEARD, is_whole

LEVELS = ("debug", "info", "notice", "warning", "error", "critical")
# ContainerSSH's codes of its Docker backend, with the level of the last word on the matter ("" : none, it is returned).
CONTAINERSSH = {
    "DOCKER_CONFIG_ERROR": "", "DOCKER_IMAGE_PULL_NEEDED_CHECKING": "debug", "DOCKER_IMAGE_LISTING": "debug",
    "DOCKER_IMAGE_LISTING_FAILED": "notice", "DOCKER_IMAGE_PULL": "debug", "DOCKER_IMAGE_PULL_FAILED": "notice",
    "DOCKER_CONTAINER_CREATE": "debug", "DOCKER_CONTAINER_CREATE_FAILED": "error", "DOCKER_CONTAINER_START": "debug",
    "DOCKER_CONTAINER_START_FAILED": "error", "DOCKER_CONTAINER_ATTACH": "debug",
    "DOCKER_CONTAINER_ATTACH_FAILED": "error", "DOCKER_CONTAINER_STOP": "debug",
    "DOCKER_CONTAINER_STOP_FAILED": "error", "DOCKER_CONTAINER_REMOVE": "debug",
    "DOCKER_CONTAINER_REMOVE_FAILED": "debug", "DOCKER_CONTAINER_REMOVE_SUCCESSFUL": "debug",
    "DOCKER_CONTAINER_SIGNAL": "debug", "DOCKER_CONTAINER_SIGNAL_FAILED": "debug",
    "DOCKER_CONTAINER_SHUTTING_DOWN": "", "DOCKER_EXEC": "debug", "DOCKER_EXEC_CREATE": "debug",
    "DOCKER_EXEC_CREATE_FAILED": "error", "DOCKER_EXEC_ATTACH": "debug", "DOCKER_EXEC_ATTACH_FAILED": "debug",
    "DOCKER_EXEC_PID_READ_FAILED": "error", "DOCKER_AGENT_READ_FAILED": "", "DOCKER_EXEC_RESIZE": "debug",
    "DOCKER_EXEC_RESIZE_FAILED": "debug", "DOCKER_EXEC_SIGNAL": "debug", "DOCKER_EXEC_SIGNAL_FAILED": "debug",
    "DOCKER_EXEC_SIGNAL_FAILED_NO_AGENT": "debug", "DOCKER_EXEC_SIGNAL_SUCCESSFUL": "debug",
    "DOCKER_SIGNAL_FAILED_NO_PID": "", "DOCKER_EXIT_CODE": "debug", "DOCKER_EXIT_CODE_FAILED": "error",
    "DOCKER_EXIT_CODE_STILL_RUNNING": "debug", "DOCKER_EXIT_CODE_CONTAINER_RESTARTING": "",
    "DOCKER_EXIT_CODE_NEGATIVE": "", "DOCKER_STREAM_INPUT_FAILED": "debug", "DOCKER_CLOSE_INPUT_FAILED": "debug",
    "DOCKER_STREAM_OUTPUT_FAILED": "error", "DOCKER_CLOSE_OUTPUT_FAILED": "debug",
    "DOCKER_PROGRAM_ALREADY_RUNNING": "", "DOCKER_PROGRAM_NOT_RUNNING": "", "DOCKER_SUBSYSTEM_NOT_SUPPORTED": "",
    "DOCKER_GUEST_AGENT_DISABLED": "warning", "DOCKERRUN_DEPRECATED": "warning", "DOCKERRUN_EXEC_DISABLED": "",
    "DOCKER_RUN_REMOVED": "", "DOCKER_FILE_WRITE": "debug", "DOCKER_FILE_WRITE_FAILED": "warning",
    "DOCKER_FORWARDING_FAILED": "", "DOCKER_AGENT_FAILED": "warning", "DOCKER_AGENT_LOG": "info",
}  # fmt: skip


@pytest.mark.parametrize("name", CONTAINERSSH)
def test_containersshs_codes(name: str) -> None:
    """Said here at its level or a more urgent one; or there is a reason, written down, why it is not said."""
    places = [name in ALL, name in RETIRED, name in LATER]
    assert sum(places) == 1, f"{name} is in none or in several of ALL, RETIRED, LATER"
    if name in ALL and CONTAINERSSH[name]:
        assert LEVELS.index(ALL[name].level) >= LEVELS.index(CONTAINERSSH[name])
    reason = RETIRED.get(name) or LATER.get(name)
    assert name in ALL or reason


@pytest.mark.engine
def test_every_code_is_hit(dockerd: str, pytestconfig: pytest.Config) -> None:
    """Runs last, and only with all the others (see `codes_heard`)."""
    if not is_whole(pytestconfig):
        pytest.skip("only the whole suite hits every code")
    missing = sorted(ALL.keys() - HEARD)
    assert not missing, f"said by no running daemon in any test: {', '.join(missing)}"
