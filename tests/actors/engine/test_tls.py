"""A remote engine behind TLS with client certificates: a proxy before the real one, and before a crooked one."""

import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.bridge import open_loop
from actors.engine.credentials import Credentials
from actors.engine.docker import DockerEngine
from actors.ports import EngineFault
from protocol.settings import DockerConnection
from tests.actors.engine.conftest import DockerBench
from tests.actors.engine.crooked import SWITCHED, Asked, crooked_engine
from tests.protocol.test_stdcopy import frame
from tests.sink import RecordingSink

pytestmark = pytest.mark.trio


def make_pair(name: str, signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None) -> tuple[str, str]:
    """PEM texts of a certificate and its key, signed by `signer` (PEM-free) or by itself as an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), True)
        .sign(signer[1] if signer else key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return built.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()


class Papers:
    """An authority, and a certificate for each side."""

    def __init__(self) -> None:
        self.authority, key = make_pair("authority", None)
        loaded = serialization.load_pem_private_key(key.encode(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = (x509.load_pem_x509_certificate(self.authority.encode()), loaded)
        self.server, self.client = make_pair("server", signer), make_pair("client", signer)

    def connection(self, port: int, scheme: str = "tcp") -> DockerConnection:
        cert, key = self.client
        return DockerConnection(host=f"{scheme}://127.0.0.1:{port}", cacert=self.authority, cert=cert, key=key)


@pytest.fixture(scope="module")
def papers() -> Papers:
    return Papers()


@asynccontextmanager
async def tls_proxy(papers: Papers, folder: Path, target: str) -> AsyncIterator[int]:
    """A TLS listener before the unix socket of `target`, half-closes passed on both ways. Yields its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=papers.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    (folder / "cert.pem").write_text("".join(papers.server))
    context.load_cert_chain(folder / "cert.pem")

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        behind = await trio.open_unix_socket(target.removeprefix("unix://"))
        try:
            async with behind, trio.open_nursery() as nursery:

                async def inward() -> None:
                    while data := await stream.receive_some():
                        await behind.send_all(data)
                    await behind.send_eof()

                nursery.start_soon(inward)
                while data := await behind.receive_some():
                    await stream.send_all(data)
                await stream.aclose()
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        tls = trio.SSLListener(listener, context, https_compatible=True)
        nursery.start_soon(trio.serve_listeners, serve, [tls])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@pytest.mark.engine
@pytest.mark.parametrize("scheme", ["tcp", "https", "http"])
async def test_the_real_engine_behind_tls(
    dockerd: str, busybox_image: str, papers: Papers, tmp_path: Path, scheme: str
) -> None:
    errors: list[object] = []
    async with tls_proxy(papers, tmp_path, dockerd) as port, open_loop(errors.append):
        connection = papers.connection(port, scheme)
        async with DockerEngine.open(connection, 15.0, Credentials(folder=tmp_path)) as engine:
            bench = DockerBench(engine, busybox_image, ())
            try:
                with trio.fail_after(20):
                    await echo_and_more(bench)
            finally:
                await bench.clean()
    assert errors == []


async def echo_and_more(bench: DockerBench) -> None:
    container = await bench.idle()
    data = bytes(range(256)) * 8000
    for _ in range(3):
        sink, end = await bench.exec(container, "/bin/cat", stdin=data)
        assert sink.out == data and end.status == 0
    sink, end = await bench.exec(container, "/bin/sh", "-c", "cat; sleep 0.2; echo late; exit 6")
    assert sink.out == b"late\n" and end.status == 6


async def test_half_close_waits_for_its_moment(papers: Papers, tmp_path: Path) -> None:
    """All input is sent before the goodbye, and output that is paused at that moment is not thrown away."""
    got = b""
    output = bytes(range(256)) * 20_000
    output_is_there = trio.Event()

    async def exchange(asked: Asked, stream: trio.SocketStream) -> bytes:
        nonlocal got
        await stream.send_all(SWITCHED)
        async with trio.open_nursery() as nursery:

            async def read_all() -> None:
                nonlocal got
                while piece := await stream.receive_some():
                    got += piece

            nursery.start_soon(read_all)
            data = frame(1, output)
            await stream.send_all(data[:100_000])
            await trio.testing.wait_all_tasks_blocked(0.05)
            output_is_there.set()
            await stream.send_all(data[100_000:])
        return frame(1, b"after your end")

    async with crooked_engine(tmp_path) as crooked, tls_proxy(papers, tmp_path, crooked.url) as port:
        crooked.answers["POST /exec/e/start"] = exchange
        connection = papers.connection(port)
        async with DockerEngine.open(connection, 5.0, Credentials(folder=tmp_path)) as engine:
            sink = RecordingSink()
            stream = await engine.start_exec("e", False, None, sink)
            stream.pause_output()
            await output_is_there.wait()
            stream.write(b"x" * 3_000_000)
            stream.write_eof()
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert len(got) == 3_000_000
            stream.resume_output()
            with trio.fail_after(10):
                await sink.ended.wait()
    assert len(got) == 3_000_000
    assert sink.out == output + b"after your end" and sink.error == ""


async def test_papers_that_do_not_do(papers: Papers, tmp_path: Path) -> None:
    cert, key = papers.client
    stranger = Papers()
    async with crooked_engine(tmp_path) as crooked, tls_proxy(papers, tmp_path, crooked.url) as port:
        host = f"tcp://127.0.0.1:{port}"
        for connection, fault in (
            (DockerConnection(host=host, cacert=papers.authority, cert=cert), "invalid"),
            (DockerConnection(host=host, cacert="nonsense", cert=cert, key=key), "invalid"),
            (DockerConnection(host=host, cacert=papers.authority, cert=cert, key="nonsense"), "invalid"),
            (DockerConnection(host=host, cacert=papers.authority, cert=cert, key=stranger.client[1]), "invalid"),
            (stranger.connection(port), "unavailable"),
            (DockerConnection(host=host), "unavailable"),
        ):
            with pytest.raises(EngineFault) as caught:
                async with DockerEngine.open(connection, 5.0, Credentials(folder=tmp_path)):
                    pass
            assert caught.value.fault == fault, caught.value
            assert "PRIVATE" not in caught.value.why
