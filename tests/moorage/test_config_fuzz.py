"""Whatever stands in the configuration file, the answer is a sentence: bent files, and texts of YAML's own."""

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moorage.config import check_config

CONFIG = Path(__file__).parents[2] / "config"
FILES = [path.read_bytes() for path in (CONFIG / "moorage.yaml", *sorted((CONFIG / "examples").iterdir()))]
# What means something to YAML, or to a reader of numbers, times and names.
TOKENS = (
    *(b"\t", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xa8", b": ", b"- ", b"? ", b"| "),
    *(
        b"&a ",
        b"*a ",
        b"<<: ",
        b"!!python/object:os.system ",
        b"!!set ",
        b"!!binary ",
        b"!t ",
        b"%YAML 9.9\n",
        b"---\n",
    ),
    *(b"...\n", b"[", b"]", b"{", b"}", b"'", b'"', b"#", b"~", b"null", b"yes", b"0x1f", b"0o7", b"1e999", b".nan"),
    *(b"-1", b"1_000", b"12:30:45", b"2026-01-01", b"1h2m", b"9" * 400, b"[" * 300, b"a: " * 300, b"${HOME}", b"\\x"),
)
PLACES = st.integers(0, 10_000)
EDITS = st.lists(st.tuples(PLACES, st.integers(0, 30), st.sampled_from(TOKENS) | st.binary(max_size=6)), max_size=6)
fuzz = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def answer(folder: Path, text: bytes) -> tuple[int, str]:
    """The exit code and what is said of a file with this text."""
    path = folder / "moorage.yaml"
    path.write_bytes(text)
    out = io.StringIO()
    code = check_config(path, out)
    assert code in (0, 1, 2)
    assert out.getvalue().strip(), "not a word"
    assert "Traceback" not in out.getvalue()
    return code, out.getvalue()


@fuzz
@given(st.sampled_from(FILES), EDITS)
def test_a_bent_file_is_read_or_refused(tmp_path: Path, text: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    for at, cut, put in edits:
        at %= len(text) + 1
        text = text[:at] + put + text[at + cut :]
    answer(tmp_path, text)


@fuzz
@given(
    st.lists(
        st.sampled_from(TOKENS) | st.sampled_from((b"ssh", b"docker", b"auth", b"users", b"listen", b" ")), max_size=30
    )
)
@example([b"&a ", b"[", b"*a ", b"]"])
@example([b"ssh", b": ", b"&a ", b"{", b"listen", b": ", b"*a ", b"}"])
@example([b"<<: ", b"*a "])
@example([b"[" * 300] * 30)
@example([b"? ", b"{", b"}", b": ", b"{", b"}"])
@example([b"\xef\xbb\xbf", b"ssh", b": ", b"~"])
def test_any_words_of_yaml_are_read_or_refused(tmp_path: Path, words: list[bytes]) -> None:
    answer(tmp_path, b"".join(words))


@fuzz
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path: Path, text: bytes) -> None:
    answer(tmp_path, text)


@pytest.mark.parametrize("text", [b"a: &a [*a]\n", b"a: &a {b: *a}\n", b"&x a: *x\n"])
def test_what_holds_itself_is_refused(tmp_path: Path, text: bytes) -> None:
    assert answer(tmp_path, text)[0] in (1, 2)
