"""Each shell's first page: the panels that contexts put there."""

from litestar import Response, Router, get

from koinon.web.rendering import home
from koinon.web.shells import PageRequest, signed_in


@get("/me", guards=[signed_in("member", "me:read")], include_in_schema=False)
async def member_home(request: PageRequest) -> Response[str]:
    """Show a member their wallet and what there is to do."""
    return await home(request, "member")


@get("/portal", guards=[signed_in("portal")], include_in_schema=False)
async def portal_home(request: PageRequest) -> Response[str]:
    """Show a brand how it stands."""
    return await home(request, "portal")


@get("/office", guards=[signed_in("office")], include_in_schema=False)
async def office_home(request: PageRequest) -> Response[str]:
    """Show the operator how the coalition stands."""
    return await home(request, "office")


router = Router("/", route_handlers=[member_home, portal_home, office_home])
