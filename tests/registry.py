"""Debian's `docker-registry` on a free port of 127.0.0.1, and just enough of a client to fill it."""

import base64
import gzip
import hashlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from secrets import token_bytes, token_hex
from types import TracebackType
from typing import Any

import bcrypt

START_SECONDS_MAX = 15.0
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Registry:
    """`host` is what image references begin with. Engines take registries on 127.0.0.0/8 without TLS."""

    def __init__(self, program: str, folder: Path, root_tar: bytes, login: tuple[str, str] | None = None) -> None:
        self.host = f"127.0.0.1:{free_port()}"
        self.login = login
        self._folder = folder
        self._root = gzip.compress(root_tar, 1, mtime=0)
        self._program = program
        self._pushed: list[str] = []

    def __enter__(self) -> "Registry":
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "storage")}},
            "http": {"addr": self.host},
        }
        if self.login:
            user, password = self.login
            line = f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
            (self._folder / "htpasswd").write_text(line)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self._folder / "htpasswd")}}
        (self._folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        with (self._folder / "log").open("wb") as log:
            command = [self._program, "serve", str(self._folder / "config.yml")]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        self._wait_until_it_answers()
        return self

    def _wait_until_it_answers(self) -> None:
        host, port = self.host.split(":")
        until = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    log = (self._folder / "log").read_text()
                    raise RuntimeError(f"docker-registry did not start: {log}") from None
                time.sleep(0.02)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()

    def forget_images(self, delete: Callable[[str], object]) -> None:
        """Have everything that was pushed deleted from the engine."""
        for reference in self._pushed:
            delete(reference)

    @property
    def auth(self) -> dict[str, str]:
        """The engine's AuthConfig for this registry."""
        return dict(zip(("username", "password"), self.login, strict=True)) if self.login else {}

    def push(self, name: str = "", tag: str = "1", extra_bytes: int = 100) -> str:
        """Bring a runnable image of two layers into the registry; the second, `extra_bytes` of noise, is its own alone.

        Returns its reference. CMD is `/bin/sh`, ENV `FROM_IMAGE=yes`.
        """
        name = name or f"moorage-test/{token_hex(4)}"
        extra = io.BytesIO()
        with tarfile.open(fileobj=extra, mode="w") as tar:
            entry = tarfile.TarInfo("extra")
            entry.size = extra_bytes
            tar.addfile(entry, io.BytesIO(token_bytes(extra_bytes)))
        layers = [self._root, gzip.compress(extra.getvalue(), 1, mtime=0)]
        config = {
            "architecture": "amd64" if _is_amd64() else "arm64",
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin", "FROM_IMAGE=yes"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer)) for layer in layers]},
            "history": [{"created_by": "a test"} for _ in layers],
        }
        blobs = [json.dumps(config).encode(), *layers]
        for blob in blobs:
            self._push_blob(name, blob)
        types = ["application/vnd.docker.container.image.v1+json"] + 2 * [
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
        ]
        described = [
            {"mediaType": kind, "size": len(blob), "digest": _digest(blob)}
            for kind, blob in zip(types, blobs, strict=True)
        ]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
        self._call("PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), MANIFEST)
        reference = f"{self.host}/{name}:{tag}"
        self._pushed.append(reference)
        self._last_layer = described[-1]["digest"]
        return reference

    def push_broken(self, name: str = "") -> str:
        """An image whose last layer is missing from the storage: its pull fails in the middle."""
        reference = self.push(name)
        digest = str(self._last_layer).removeprefix("sha256:")
        shutil.rmtree(self._folder / "storage/docker/registry/v2/blobs/sha256" / digest[:2] / digest)
        return reference

    def _push_blob(self, name: str, blob: bytes) -> None:
        place = self._call("POST", f"/v2/{name}/blobs/uploads/", b"")["Location"]
        path = place.removeprefix(f"http://{self.host}")
        self._call("PUT", f"{path}&digest={_digest(blob)}", blob)

    def _call(self, method: str, path: str, body: bytes, kind: str = "application/octet-stream") -> Any:
        request = urllib.request.Request(f"http://{self.host}{path}", body, {"Content-Type": kind}, method=method)
        if self.login:
            token = base64.b64encode(":".join(self.login).encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()
            return answer.headers


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _is_amd64() -> bool:
    import platform

    return platform.machine() == "x86_64"
