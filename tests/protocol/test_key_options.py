"""Lines of authorized_keys: what sshd takes is taken, what would be let in without its conditions is not."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.key_options import KeyOptions, read_line, read_options, wanted_lines

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAUNFR3h2t0TM/3vVuKaBnk3MQd4kZWL6rs8C5ARvMwM ann@example.com"
SWITCHES = ("pty", "port-forwarding", "agent-forwarding", "x11-forwarding", "user-rc")
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"])
def test_a_line_without_options(kind: str) -> None:
    line = read_line(f"  {kind} AAAA comment with blanks ")
    assert (line.options, line.key) == (KeyOptions(), f"{kind} AAAA comment with blanks")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("no-pty", KeyOptions(pty=False)),
        ("No-PTY,no-X11-forwarding", KeyOptions(pty=False, x11_forwarding=False)),
        ("pty,no-pty", KeyOptions(pty=False)),
        (
            "restrict,pty",
            KeyOptions(port_forwarding=False, agent_forwarding=False, x11_forwarding=False, user_rc=False),
        ),
        ("cert-authority", KeyOptions(authority=True)),
        ('cert-authority,principals="ann, bob"', KeyOptions(authority=True, principals=("ann", "bob"))),
        ('from="10.0.0.0/8,!10.0.0.1"', KeyOptions(hosts=("10.0.0.0/8", "!10.0.0.1"))),
        (r'command="printf \"a\\n\" > b"', KeyOptions(command=r'printf "a\\n" > b')),
        (r'command="printf a\n"', KeyOptions(command=r"printf a\n")),
        ('command=""', KeyOptions(command="")),
        ('environment="A=b=c",environment="A=later"', KeyOptions(environment={"A": "b=c"})),
        ('expiry-time="20261231"', KeyOptions(expires=("20261231000000",))),
        ('expiry-time="202612312359Z"', KeyOptions(expires=("20261231235900Z",))),
        ('permitopen="h:80",permitlisten="8080"', KeyOptions(permit_open=("h:80",), permit_listen=("8080",))),
        ("no-touch-required", KeyOptions(touch=False)),
        ('tunnel="0"', KeyOptions()),
    ],
)
def test_options(text: str, options: KeyOptions) -> None:
    assert read_options(text) == options
    assert read_line(f"{text} {KEY}").options == options
    assert read_line(f"{text}\t{KEY}").key == KEY


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("verify-required", "'verify-required' is not kept to here"),
        ("no-such-thing", "'no-such-thing' is not kept to here"),
        ('zz="1"', "'zz' is not kept to here"),
        ("from", "'from' wants a value"),
        ("from=10.0.0.1", "double quotes"),
        ('from="10.0.0.1', "closing quote"),
        ('from="a",from="b"', "twice"),
        ('command="a",command="a"', "twice"),
        ('from="a,,b"', "empty name"),
        ('environment="1=b"', "NAME=value"),
        ('environment="A"', "NAME=value"),
        ('expiry-time="2026"', "YYYYMMDD"),
        ('expiry-time="20260230"', "YYYYMMDD"),
        ('expiry-time="202601012460"', "YYYYMMDD"),
        ("pty,,no-pty", "commas between"),
        ("pty;no-pty", "commas between"),
        (",", "commas between"),
    ],
)
def test_what_is_not_kept_makes_the_line_useless(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_options(text)
    with pytest.raises(ValueError):
        read_line(f"{text} {KEY}")


@pytest.mark.parametrize("line", ["", "x", 'command="a"', "pty", f"pty#{KEY}", "AAAA ssh-ed25519", "x" * 70_000])
def test_what_is_no_key_line(line: str) -> None:
    with pytest.raises(ValueError):
        read_line(line)


def test_expiry_is_by_the_clock_it_names() -> None:
    local, utc = read_options('expiry-time="20260601"'), read_options('expiry-time="20260601Z"')
    assert local.is_expired("20260601000001", "20260531230001")
    assert not local.is_expired("20260531235959", "20260601000001")
    assert utc.is_expired("20260531235959", "20260601000001")
    assert not utc.is_expired("20260601000001", "20260531230001")
    assert not KeyOptions().is_expired("99990101000000", "99990101000000")


def test_comments_and_blank_lines() -> None:
    assert wanted_lines(f"# a\n\n  {KEY}\r\n\t#b\n{KEY}") == [(3, KEY), (5, KEY)]


@given(st.lists(st.sampled_from([*SWITCHES, *(f"no-{name}" for name in SWITCHES), "restrict"]), min_size=1))
def test_the_last_word_counts(words: list[str]) -> None:
    options = read_options(",".join(words))
    for name in SWITCHES:
        said = [word for word in words if word in (name, f"no-{name}", "restrict")]
        assert getattr(options, name.replace("-", "_")) == (not said or said[-1] == name)


@given(TEXT)
def test_a_command_comes_out_as_it_was_meant(command: str) -> None:
    if command.endswith("\\") or '\\"' in command:
        return  # what sshd's own quoting cannot say
    quoted = command.replace('"', '\\"')
    line = read_line(f'restrict,command="{quoted}",pty {KEY}')
    assert (line.options.command, line.options.pty, line.key) == (command, True, KEY)


@given(st.text(st.sampled_from(string.ascii_lowercase + ' ,="\\-\t'), max_size=40))
def test_nothing_but_a_sentence_comes_of_nonsense(text: str) -> None:
    try:
        line = read_line(f"{text} {KEY}")
    except ValueError as error:
        assert str(error)
    else:
        assert line.key.endswith(KEY[-20:])


@given(TEXT, st.sampled_from(["restrict", "no-pty", 'from="10.0.0.1"', 'command="x"', 'expiry-time="20200101"']))
def test_a_condition_is_never_lost(junk: str, condition: str) -> None:
    """Whatever stands beside it, a line is either refused or keeps its condition."""
    usual = read_options(condition)
    try:
        options = read_line(f"{condition},{junk} {KEY}").options
    except ValueError:
        return
    assert options.command == usual.command and options.hosts == usual.hosts and options.expires[:1] == usual.expires
    assert options.pty == usual.pty or "pty" in junk.lower()
