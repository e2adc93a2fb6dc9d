"""ContainerSSH's webhooks over a real HTTP server: the JSON, the classes of failures, TLS and tokens."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio_asyncio
from aiohttp import web
from msgspec.structs import replace

from actors.login import Client, Grant
from actors.ports import OutsideFault
from actors.web import client as web_client
from actors.web.webhook import AuthWebhook
from protocol.settings_auth import Webhook
from protocol.webhook import AuthResponse, BinaryValue, Value
from tests.actors.engine.test_tls import Papers, make_pair
from tests.webservice import Answer, WebService, open_service, status, yes

pytestmark = pytest.mark.trio
CLIENT = Client(connection="0" * 32, remote="192.0.2.1:4022", version="SSH-2.0-Test")
KEY = "ssh-ed25519 AAAA"


@asynccontextmanager
async def asked(
    answer: Answer = yes, tls: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[tuple[AuthWebhook, WebService]]:
    with trio.fail_after(30):
        async with trio_asyncio.open_loop(), open_service(answer, tls) as service:
            webhook = AuthWebhook(replace(Webhook(url=f"{service.url}/base/"), **settings))
            try:
                yield webhook, service
            finally:
                await webhook.close()


async def password(webhook: AuthWebhook) -> AuthResponse:
    return await webhook.password(CLIENT, "ann", "pä:ss")


async def fault_of(webhook: AuthWebhook) -> tuple[str, str]:
    with pytest.raises(OutsideFault) as caught:
        await password(webhook)
    return caught.value.fault, caught.value.why


async def test_the_same_json_as_containersshs() -> None:
    grant = Grant(username="anna", metadata={"team": Value("blue"), "token": Value("hunter2", True)})
    grant.environment = {"A": Value("b")}
    grant.files = {"/f": BinaryValue(b"\x00\x01"), "/g": BinaryValue(b"x", True)}
    async with asked() as (webhook, service):
        await password(webhook)
        await webhook.public_key(CLIENT, "ann", KEY)
        await webhook.authorize(CLIENT, "ann", grant)
        who = {
            "remoteAddress": "192.0.2.1:4022",
            "connectionId": "0" * 32,
            "clientVersion": "SSH-2.0-Test",
            "username": "ann",
        }
        assert [(heard.path, heard.tree) for heard in service.heard] == [
            ("/base/password", {**who, "passwordBase64": base64.b64encode("pä:ss".encode()).decode()}),
            ("/base/pubkey", {**who, "publicKey": KEY}),
            (
                "/base/authz",
                {
                    **who,
                    "authenticatedUsername": "anna",
                    "metadata": {"team": {"value": "blue", "sensitive": False}},
                    "environment": {"A": {"value": "b", "sensitive": False}},
                    "files": {"/f": {"value": "AAE=", "sensitive": False}},
                },
            ),
        ]
        assert all(heard.headers["Content-Type"] == "application/json" for heard in service.heard)
        assert "Authorization" not in service.heard[0].headers


async def test_an_empty_password_is_written_too() -> None:
    async with asked() as (webhook, service):
        await webhook.password(CLIENT, "ann", "")
        assert service.heard[0].tree["passwordBase64"] == ""


async def test_what_it_says_about_the_user_comes_back() -> None:
    said = {
        "success": True,
        "authenticatedUsername": "anna",
        "metadata": {"team": {"value": "blue", "sensitive": True}},
        "environment": {"A": {"value": "b"}},
        "files": {"/f": {"value": "AAE="}},
        "remoteAddress": "10.0.0.1:1",
        "something": "new",
    }
    async with asked(lambda heard: said) as (webhook, _):
        response = await password(webhook)
        assert response == AuthResponse(
            success=True,
            authenticated_username="anna",
            metadata={"team": Value("blue", True)},
            environment={"A": Value("b")},
            files={"/f": BinaryValue(b"\x00\x01")},
        )


async def test_a_bearer_token() -> None:
    async with asked(bearer_token="t0ken") as (webhook, service):
        await password(webhook)
        assert service.heard[0].headers["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (400, "invalid"), (401, "denied"), (403, "denied"), (404, "not_found"), (302, "invalid"), (418, "invalid"),
        (408, "unavailable"), (429, "unavailable"), (500, "internal"), (502, "unavailable"), (503, "unavailable"),
        (201, "internal"),
    ],
)  # fmt: skip
async def test_the_class_of_a_status(number: int, fault: str) -> None:
    async with asked(status(number, '{"success": true}')) as (webhook, _):
        assert await fault_of(webhook) == (fault, f"it answered with status {number}")


@pytest.mark.parametrize(
    "text", ["", "yes", "[]", "{}", '{"success": "yes"}', '{"success": 1}', '{"success": null}', '{"success": true,}']
)
async def test_an_answer_that_is_none_lets_nobody_in(text: str) -> None:
    async with asked(lambda heard: web.Response(text=text)) as (webhook, _):
        fault, why = await fault_of(webhook)
        assert fault == "invalid" and why.startswith("its answer is not what a webhook says")


async def test_a_no_is_an_answer() -> None:
    async with asked(lambda heard: {"success": False}) as (webhook, _):
        assert (await password(webhook)).success is False


async def test_a_service_that_says_nothing_is_given_its_time_and_no_more() -> None:
    async with asked(timeout=0.2) as (webhook, service):
        service.hold = asyncio.Event()
        assert await fault_of(webhook) == ("timeout", "it did not answer within 0.2 s")
        service.hold = None
        assert (await password(webhook)).success


async def test_who_is_not_there_cannot_be_reached() -> None:
    async with asked() as (_, service):
        pass
    async with trio_asyncio.open_loop():
        gone = AuthWebhook(Webhook(url=service.url))
        fault, why = await fault_of(gone)
        await gone.close()
    assert fault == "unavailable" and "pä:ss" not in why


async def test_an_answer_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_client, "BODY_BYTES_MAX", 1000)
    async with asked(lambda heard: web.Response(text=" " * 1001)) as (webhook, _):
        assert await fault_of(webhook) == ("invalid", "the answer is larger than 1000 bytes")


async def test_redirects_are_followed_only_where_that_is_wanted() -> None:
    def answer(heard: Any) -> Any:
        if heard.path == "/else":
            return {"success": True}
        return web.Response(status=307, headers={"Location": "/else"})

    async with asked(answer) as (webhook, service):
        assert (await fault_of(webhook))[0] == "invalid"
        assert len(service.heard) == 1
    async with asked(answer, allow_redirects=True) as (webhook, _):
        assert (await password(webhook)).success


async def test_connections_are_used_again() -> None:
    ports: set[object] = set()

    def answer(heard: Any) -> Any:
        return {"success": True}

    async with asked(answer) as (webhook, _):
        for _ in range(5):
            await password(webhook)
            ports.add(len(webhook._web._session.connector._conns))  # type: ignore[union-attr]
    assert ports == {1}


# --- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers() -> Papers:
    return Papers()


def server_tls(papers: Papers, folder: Path, wants_client: bool = False) -> ssl.SSLContext:
    cert, key = papers.server
    (folder / "cert.pem").write_text(cert)
    (folder / "key.pem").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=papers.authority)
    return context


async def test_tls_with_an_authority_of_its_own(papers: Papers, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(papers.authority)
    for cacert in (papers.authority, str(tmp_path / "ca.pem")):
        async with asked(tls=server_tls(papers, tmp_path), cacert=cacert) as (webhook, _):
            assert (await password(webhook)).success


async def test_a_stranger_behind_tls_is_told_nothing(papers: Papers, tmp_path: Path) -> None:
    other = make_pair("other", None)[0]
    for cacert in ("", other):
        async with asked(tls=server_tls(papers, tmp_path), cacert=cacert) as (webhook, service):
            fault, why = await fault_of(webhook)
            assert fault == "denied" and why.startswith("TLS failed")
            assert service.heard == []


async def test_a_client_certificate_is_shown(papers: Papers, tmp_path: Path) -> None:
    tls = server_tls(papers, tmp_path, wants_client=True)
    cert, key = papers.client
    async with asked(tls=tls, cacert=papers.authority, cert=cert, key=key) as (webhook, _):
        assert (await password(webhook)).success
    async with asked(tls=tls, cacert=papers.authority) as (webhook, service):
        assert (await fault_of(webhook))[0] in ("denied", "unavailable")
        assert service.heard == []


async def test_the_least_version_of_tls(papers: Papers, tmp_path: Path) -> None:
    tls = server_tls(papers, tmp_path)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    async with asked(tls=tls, cacert=papers.authority) as (webhook, service):
        assert (await fault_of(webhook))[0] in ("denied", "unavailable")
        assert service.heard == []
    async with asked(tls=tls, cacert=papers.authority, tls_version="1.2") as (webhook, _):
        assert (await password(webhook)).success


@pytest.mark.parametrize("make", [lambda: "-----BEGIN CERTIFICATE-----junk", lambda: "/no/such/file"])
async def test_papers_that_cannot_be_used(make: Callable[[], str], papers: Papers, tmp_path: Path) -> None:
    async with asked(tls=server_tls(papers, tmp_path), cacert=make()) as (webhook, service):
        assert (await fault_of(webhook))[0] in ("invalid", "denied", "unavailable")
        assert service.heard == []


@pytest.mark.parametrize(("curve", "server", "fits"), [("P-384", "secp384r1", True), ("x25519", "secp384r1", False)])
async def test_the_curve_of_the_key_exchange(
    curve: str, server: str, fits: bool, papers: Papers, tmp_path: Path
) -> None:
    tls = server_tls(papers, tmp_path)
    tls.set_ecdh_curve(server)
    async with asked(tls=tls, cacert=papers.authority, curves=(curve,)) as (webhook, service):
        if fits:
            assert (await password(webhook)).success
        else:
            assert (await fault_of(webhook))[0] in ("denied", "unavailable")
            assert service.heard == []


@pytest.mark.parametrize("name", ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE_RSA_AES_128_GCM_SHA256"])
async def test_the_cipher_suites_of_tls_1_2(name: str, papers: Papers, tmp_path: Path) -> None:
    tls = server_tls(papers, tmp_path)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers("ECDHE+AES128+AESGCM")
    options = {"tls": tls, "cacert": papers.authority, "tls_version": "1.2"}
    other = name.replace("128", "256").replace("SHA256", "SHA384")
    both = tuple(name.replace("RSA", kind).replace("ECDSA", kind) for kind in ("RSA", "ECDSA"))
    async with asked(**options, cipher=both) as (webhook, _):
        assert (await password(webhook)).success
    for refused in ((other,), ("TLS_AES_128_GCM_SHA256",)):  # the second is of TLS 1.3, so 1.2 has none
        async with asked(**options, cipher=refused) as (webhook, service):
            assert (await fault_of(webhook))[0] in ("denied", "unavailable")
            assert service.heard == []
