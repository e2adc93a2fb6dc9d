"""The JSON of web services: what is read, and that what is not is never repeated."""

import pytest

from protocol.webhook import AuthResponse, Value, decode


def test_an_answer_is_read() -> None:
    body = b'{"success": true, "metadata": {"a": {"value": "b"}}, "more": 1}'
    assert decode(AuthResponse, body) == AuthResponse(success=True, metadata={"a": Value("b")})


@pytest.mark.parametrize(
    "body", [b"", b"hunter2", b'{"success": "hunter2"}', b'"\xff"', b'{"success": true, "files": 1}']
)
def test_what_is_no_answer_is_not_repeated(body: bytes) -> None:
    with pytest.raises(ValueError) as caught:
        decode(AuthResponse, body)
    assert "hunter2" not in str(caught.value)
