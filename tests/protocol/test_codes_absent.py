"""What is not said is not in the registry, and has a reason."""

import pytest

from protocol.codes import ALL
from protocol.codes_absent import LATER, RETIRED


@pytest.mark.parametrize("name", [*RETIRED, *LATER])
def test_a_code_that_is_absent_has_a_reason(name: str) -> None:
    assert name not in ALL
    assert (name in RETIRED) != (name in LATER)
    assert len((RETIRED | LATER)[name].split()) > 3
