"""The files that pages link to: each at an address with its own hash in it, so that a browser keeps it for good."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from litestar import Response, get
from litestar.params import FromPath

from koinon.problems import NotFound

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {".css": "text/css", ".svg": "image/svg+xml"}
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}

FILES: Mapping[str, bytes] = MappingProxyType(
    {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in MEDIA_TYPES}
)
DIGESTS: Mapping[str, str] = MappingProxyType(
    {name: sha256(content).hexdigest()[:16] for name, content in FILES.items()}
)


def asset(name: str) -> str:
    """Return the address of a file; raises KeyError for one that there is not."""
    return f"/static/{DIGESTS[name]}/{name}"


@get("/static/{digest:str}/{name:str}", opt={"public": True}, include_in_schema=False, sync_to_thread=False)
def static_file(digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """Return a file of the pages."""
    if DIGESTS.get(name) != digest:
        raise NotFound
    return Response(FILES[name], media_type=MEDIA_TYPES[Path(name).suffix], headers=FOREVER)
