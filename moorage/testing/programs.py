"""The programs of a fake container: a small shell, enough for the scripts of tests.

Commands joined by `;`, `&&`, `||`, `&` and newlines, quotes, `$NAME`, `>&2`; `if … fi` is taken as false and skipped.
"""

import re
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from protocol import frame_types
from protocol.base import Size

SIGNALS = {**frame_types.SIGNALS, "CONT": 18, "WINCH": 28}
CHUNK_BYTES = 32 * 1024
_NAME = re.compile(r"\$(?:\{(\w+)\}|(\w+|\?|\$))")
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})

Output = Callable[[bytes, bool], Awaitable[None]]


class ProgramExit(Exception):
    """Raised inside a program to end it with `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Pipe:
    """A program's stdin. `drained` is called whenever something was read."""

    def __init__(self, drained: Callable[[], None] = lambda: None) -> None:
        self._data = bytearray()
        self._ended = False
        self._news = trio.Event()
        self.drained = drained

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        if not self._ended:
            self._data += data
            self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    async def read(self, bytes_max: int = CHUNK_BYTES) -> bytes:
        """At least one byte, or none at the end of file."""
        while not self._data and not self._ended:
            self._news = trio.Event()
            await self._news.wait()
        piece = bytes(self._data[:bytes_max])
        del self._data[:bytes_max]
        self.drained()
        return piece

    async def read_line(self) -> bytes:
        """A line with its newline (or what is left of one), or nothing at the end of file. Enter is a newline too."""
        line = b""
        while not line.endswith(b"\n"):
            byte = (await self.read(1)).replace(b"\r", b"\n")
            if not byte or (byte == b"\x04" and not line):
                break
            line += byte
        return line


def knows(argv: Sequence[str]) -> bool:
    """Is there such a program?"""
    return bool(argv) and (argv[0].rpartition("/")[2] in _SHELLS or hasattr(Program, _method(argv[0])))


def _method(path: str) -> str:
    return "do_" + path.rpartition("/")[2].replace("-", "_")


class Program:
    """One run of `argv`. `send(data, stderr)` takes its output and waits while nobody reads it."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], tty: bool, stdin: Pipe, send: Output) -> None:
        self._argv = list(argv)
        self._env = dict(env)
        self._tty = tty
        self._echo = tty
        self._stdin = stdin
        self._send = send
        self._traps: set[int] = set()
        self._last = 0
        self._scope = trio.CancelScope()
        self._killed_by = 0
        self.size = Size(columns=0, rows=0)

    @property
    def killed_by(self) -> int:
        """The number of the signal that has ended it, or 0."""
        return self._killed_by

    async def run(self) -> int:
        """Its exit status; 128 + N if signal N has ended it."""
        with self._scope:
            try:
                return await self._command(self._argv, False)
            except ProgramExit as end:
                return end.status
        return 128 + self._killed_by

    def signal(self, number: int, is_first: bool) -> None:
        """Deliver a signal. `is_first`: PID 1, for which the kernel drops what is neither KILL nor trapped."""
        if number in (SIGNALS["CONT"], SIGNALS["WINCH"]):
            return
        if number == SIGNALS["KILL"] or number in self._traps or not is_first:
            self._killed_by = number
            self._scope.cancel()

    async def _script(self, text: str) -> int:
        """Run the commands of `text` one after the other."""
        words: list[str] = []
        skip_if, skipping = "", False
        try:
            tokens = _tokens(text)
        except ValueError:
            await self._send(b"sh: syntax error\n", True)
            return 2
        for token in tokens:
            if not set(token) <= set(";&|\n") or not token:
                words.append(token)
                continue
            skipping = (skipping or words[:1] == ["if"]) and words[:1] != ["fi"]
            wanted = not (skip_if == "&&" and self._last != 0) and not (skip_if == "||" and self._last == 0)
            if words and wanted and not skipping and words[0] != "fi" and token != "&":
                self._last = await self._command(*self._redirected(words))
            words, skip_if = [], token
        return self._last

    def _redirected(self, words: list[str]) -> tuple[list[str], bool]:
        """The words without redirections, with names filled in, and whether stdout goes to stderr."""
        plain: list[str] = []
        to_stderr, at = False, 0
        while at < len(words):
            if words[at] in (">&", ">", "<"):
                if plain and plain[-1] in ("1", "2") and words[at] != "<":
                    stderr_too = plain.pop() == "2"
                    to_stderr = to_stderr or (not stderr_too and words[at + 1 : at + 2] == ["2"])
                else:
                    to_stderr = to_stderr or words[at + 1 : at + 2] == ["2"]
                at += 2
                continue
            plain.append(_NAME.sub(self._value, words[at]))
            at += 1
        return plain, to_stderr

    def _value(self, match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return str(self._last) if name == "?" else "1" if name == "$" else self._env.get(name, "")

    async def _command(self, words: list[str], to_stderr: bool) -> int:
        await trio.lowlevel.checkpoint()
        name = words[0].rpartition("/")[2] if words else ""
        if name in _SHELLS:
            return await self._shell(words[1:])
        if "=" in name:
            key, _, value = words[0].partition("=")
            self._env[key] = value
            return 0
        run = getattr(self, _method(words[0]), None) if words else None
        if run is None:
            await self._send(f"sh: {name}: not found\n".encode(), True)
            return 127
        status: int = await run(words[1:], to_stderr)
        return status

    async def _shell(self, args: list[str]) -> int:
        if args[:1] == ["-c"]:
            return await self._script(args[1] if len(args) > 1 else "")
        while True:
            if self._tty:
                await self._send(b"# ", False)
            line = await self._stdin.read_line()
            if self._echo:
                await self._put(line.replace(b"\x04", b""))
            if not line:
                return self._last
            self._last = await self._script(line.decode(errors="replace"))

    async def _put(self, data: bytes, stderr: bool = False) -> None:
        await self._send(data.replace(b"\n", b"\r\n") if self._tty and self._echo else data, stderr)

    async def do_echo(self, args: list[str], stderr: bool) -> int:
        newline = "" if args[:1] == ["-n"] else "\n"
        await self._put((" ".join(args[1:] if not newline else args) + newline).encode(), stderr)
        return 0

    async def do_cat(self, args: list[str], stderr: bool) -> int:
        while data := await self._stdin.read():
            await self._put(data, stderr)
        return 0

    async def do_exit(self, args: list[str], _stderr: bool) -> int:
        raise ProgramExit(int(args[0]) if args else self._last)

    async def do_exec(self, args: list[str], stderr: bool) -> int:
        raise ProgramExit(await self._command(args, stderr))

    async def do_sleep(self, args: list[str], _stderr: bool) -> int:
        if args == ["infinity"]:
            await trio.sleep_forever()
        await trio.sleep(float(args[0]))
        return 0

    async def do_wait(self, _args: list[str], _stderr: bool) -> int:
        return await self.do_sleep(["infinity"], False)

    async def do_trap(self, args: list[str], _stderr: bool) -> int:
        self._traps |= {SIGNALS[name] for name in args[1:] if name in SIGNALS}
        return 0

    async def do_true(self, _args: list[str], _stderr: bool) -> int:
        return 0

    async def do_false(self, _args: list[str], _stderr: bool) -> int:
        return 1

    async def do_kill(self, args: list[str], _stderr: bool) -> int:
        """`kill -NAME $$`: itself."""
        raise ProgramExit(128 + SIGNALS[args[0].lstrip("-")])

    async def do_env(self, _args: list[str], stderr: bool) -> int:
        await self._put("".join(f"{name}={value}\n" for name, value in self._env.items()).encode(), stderr)
        return 0

    async def do_stty(self, args: list[str], stderr: bool) -> int:
        if args == ["size"]:
            await self._put(f"{self.size.rows} {self.size.columns}\n".encode(), stderr)
        elif {"raw", "-echo"} & set(args):
            self._echo = False
        return 0 if self._tty else 1

    async def do_seq(self, args: list[str], stderr: bool) -> int:
        """`seq FIRST LAST`"""
        for at in range(int(args[0]), int(args[1]) + 1, 4096):
            last = min(at + 4095, int(args[1]))
            await self._put("".join(f"{n}\n" for n in range(at, last + 1)).encode(), stderr)
        return 0

    async def do_head(self, args: list[str], stderr: bool) -> int:
        """`head -c N /dev/zero`"""
        left = int(args[1])
        while left:
            await self._put(bytes(min(left, CHUNK_BYTES)), stderr)
            left -= min(left, CHUNK_BYTES)
        return 0


def _tokens(text: str) -> list[str]:
    """Words and what stands between commands. Raises ValueError. The lexer goes at once: it takes 3 KiB."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|\n<>()")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    return [*lexer, ";"]
