"""The interface's description says of every route what its guards ask for."""

import httpx
from litestar import Litestar
from litestar.routes import HTTPRoute

from koinon.callers.model import MEMBER_SCOPES, OPERATOR_SCOPES, PARTNER_SCOPES, ROLE_SCOPES
from koinon.identity.described import scopes_asked


async def test_the_description_names_schemes_and_scopes(client: httpx.AsyncClient) -> None:
    """A guarded route names its scopes, a signed one the signature, an open one nothing."""
    document = (await client.get("/schema/openapi.json")).json()
    paths = document["paths"]

    assert set(document["components"]["securitySchemes"]) == {"token", "session", "signature"}
    assert paths["/v1/sources"]["post"]["security"] == [{"token": ["sources:write"]}, {"session": ["sources:write"]}]
    assert paths["/v1/feeds/{source}/transactions"]["post"]["security"] == [{"signature": []}]
    assert "security" not in paths["/v1/oauth/token"]["post"]
    assert "security" not in paths["/health"]["get"]


async def test_every_route_asks_or_is_open(app: Litestar) -> None:
    """Each route has a guard or says that it is public, and asks for no scope that nobody can have."""
    granted = OPERATOR_SCOPES.union(PARTNER_SCOPES, MEMBER_SCOPES, *ROLE_SCOPES.values())
    wrong = []
    asked = 0
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if route.path.startswith(("/schema", "/probe", "/looking")) or "OPTIONS" in handler.http_methods:
                continue
            scopes = scopes_asked(handler)
            asked += scopes is not None
            if (scopes is None) is not bool(handler.opt.get("public")) or (scopes or frozenset()) - granted:
                wrong.append((route.path, handler.handler_name))

    assert wrong == []
    assert asked > 5
