"""Who may call what, as the interface's description says it; it is read from the guards themselves."""

from collections.abc import Sequence

from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Components, SecurityRequirement, SecurityScheme

from koinon.identity.sessions import COOKIE
from koinon.identity.webhook_signatures import SIGNATURE_HEADER

SCHEMES = Components(
    security_schemes={
        "token": SecurityScheme(
            type="http",
            scheme="bearer",
            bearer_format="JWT",
            description="An access token of a partner's or an operator's client, from /v1/oauth/token.",
        ),
        "session": SecurityScheme(
            type="apiKey",
            name=COOKIE,
            security_scheme_in="cookie",
            description="A browser that signed in; its writes carry X-CSRF-Token, too.",
        ),
        "signature": SecurityScheme(
            type="apiKey",
            name=SIGNATURE_HEADER,
            security_scheme_in="header",
            description="A processor's Standard Webhooks signature over the raw body, with webhook-id and -timestamp.",
        ),
    }
)


def scopes_asked(handler: HTTPRouteHandler) -> frozenset[str] | None:
    """Return the scopes that a route's guards ask for, or None when no guard asks for a caller at all."""
    asked = [guard.scopes for guard in handler.resolve_guards() if hasattr(guard, "scopes")]
    return frozenset().union(*asked) if asked else None


def security_of(handler: HTTPRouteHandler) -> Sequence[SecurityRequirement]:
    """Return what a route asks of its caller; OpenAPI 3.1 lets any scheme name the scopes that it needs."""
    if handler.opt.get("signed"):
        return [{"signature": []}]
    scopes = scopes_asked(handler)
    if scopes is None:
        return []
    return [{"token": sorted(scopes)}, {"session": sorted(scopes)}]
