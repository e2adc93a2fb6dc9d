"""A small OpenID Connect provider with the device flow, made of Authlib, on loopback."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import ClientMixin  # type: ignore[import-untyped]
from authlib.oauth2.rfc8628 import (  # type: ignore[import-untyped]
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from flask import Flask, request
from werkzeug.serving import make_server

Claims = dict[str, Any]
SECRET = "secret-of-the-client"


class RegisteredClient(ClientMixin):  # type: ignore[misc]
    client_id = "moorage"

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == DeviceCodeGrant.GRANT_TYPE


class Provider:
    """`person` is who uses the next code, False: who refuses it, None: nobody yet. `people`: who uses which code."""

    def __init__(self) -> None:
        self.port = 0
        self.person: Claims | bool | None = None
        self.people: dict[str, Claims] = {}
        self.expires_in = 600
        self.slow = 0  # so many polls are told to slow down
        self.codes: dict[str, DeviceCredentialDict] = {}
        self.tokens: dict[str, Claims] = {}
        self.paths: list[str] = []
        self.methods = ["client_secret_basic"]
        self.issuer = ""
        self.app = self._made()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/realm"

    def user_code(self) -> str:
        return str(next(reversed(self.codes.values()))["user_code"])

    def _made(self) -> Flask:
        app, provider = Flask("provider"), self

        def save_token(token: dict[str, Any], asked: Any) -> None:
            provider.tokens[token["access_token"]] = asked.user

        class Endpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc]
            EXPIRES_IN = self.expires_in
            INTERVAL = 1

            def get_verification_uri(self) -> str:
                return f"{provider.url}/page"

            def save_device_credential(self, client_id: str, scope: str, data: Any) -> None:
                provider.codes[data["device_code"]] = DeviceCredentialDict(
                    client_id=client_id, scope=scope, expires_at=_now() + provider.expires_in, **data
                )

        class Grant(DeviceCodeGrant):  # type: ignore[misc]
            TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

            def query_device_credential(self, device_code: str) -> Any:
                return provider.codes.get(device_code)

            def query_user_grant(self, user_code: str) -> Any:
                person = provider.people.get(user_code, provider.person)
                return None if person is None else ((person or {"sub": "x"}), person is not False)

            def should_slow_down(self, credential: Any) -> bool:
                provider.slow -= 1
                return provider.slow >= 0

        server = AuthorizationServer(app, query_client=self._client, save_token=save_token)
        server.register_endpoint(Endpoint)
        server.register_grant(Grant)
        app.before_request(lambda: self.paths.append(request.path))  # type: ignore[arg-type, return-value]
        app.add_url_rule("/realm/.well-known/openid-configuration", "discovery", self._discovery)
        app.add_url_rule(
            "/realm/device", "device", lambda: server.create_endpoint_response("device_authorization"), methods=["POST"]
        )
        app.add_url_rule("/realm/token", "token", server.create_token_response, methods=["POST"])
        app.add_url_rule("/realm/me", "me", self._me)
        return app

    def _client(self, client_id: str) -> RegisteredClient | None:
        return RegisteredClient() if client_id == RegisteredClient.client_id else None

    def _discovery(self) -> Claims:
        return {
            "issuer": self.issuer or self.url,
            "device_authorization_endpoint": f"{self.url}/device",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/me",
            "token_endpoint_auth_methods_supported": self.methods,
        }

    def _me(self) -> tuple[Claims, int]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return (self.tokens[token], 200) if token in self.tokens else ({"error": "invalid_token"}, 401)


def _now() -> float:
    return time.time()


@contextmanager
def open_provider(monkeypatch: Any) -> Iterator[Provider]:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    provider = Provider()
    server = make_server("127.0.0.1", 0, provider.app, threaded=True)
    provider.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
