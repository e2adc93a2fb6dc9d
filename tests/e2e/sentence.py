"""What a user reads when nothing could be run."""

from tests.e2e.harness import Done

NOT_RUN = 125


def told(done: Done, code: str, *words: str) -> str:
    """Status 125, no output, and one line that has the code at its end and these words in it. Returns the line."""
    line = done.err.decode()
    assert (done.status, done.out) == (NOT_RUN, b""), done
    assert line.startswith("moorage: ") and line.endswith(f" ({code})\r\n") and line.count("\n") == 1, line
    assert all(word in line for word in words), line
    return line
