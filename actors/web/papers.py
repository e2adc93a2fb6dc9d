"""Before any service is asked: can its certificates be read, and do they fit together?"""

from actors.web.client import tls_context
from protocol.settings import Settings
from protocol.settings_http import HttpClient


def services(settings: Settings) -> list[tuple[str, HttpClient]]:
    """(path, section) of each web service that logins are asked of."""
    auth = settings.auth
    webhooks = {"password": auth.password, "publicKey": auth.public_key, "authz": auth.authz}
    found: list[tuple[str, HttpClient]] = [
        (f"auth.{name}.webhook", section.webhook) for name, section in webhooks.items() if section.method
    ]
    if auth.keyboard_interactive.method:
        found.append(("auth.keyboardInteractive.oauth2.oidc", auth.keyboard_interactive.oauth2.oidc))
    if settings.configserver.url:
        found.append(("configserver", settings.configserver))
    return found


def check(settings: Settings) -> list[tuple[str, str]]:
    """(path, sentence) for each service whose TLS cannot work. Empty when all is well."""
    found = []
    for path, http in services(settings):
        if bool(http.cert) != bool(http.key):
            continue  # it is told already
        try:
            tls_context(http)
        except (ValueError, OSError) as error:
            key, colon, why = str(error).partition(": ")
            if colon and key in ("curves", "cipher"):
                found.append((f"{path}.{key}", why))
            else:
                why = getattr(error, "strerror", None) or str(error)
                found.append((path, f"cacert, cert or key cannot be used: {why}"))
    return found
