"""`/docs`: the OpenAPI document, to read and to try out.

Swagger UI comes from its public CDN; the page may run that and its own two lines, and talk to this host alone.
"""

import base64
import re
from hashlib import sha256
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse

_CDN: Final = "https://cdn.jsdelivr.net"
_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def add_docs(app: FastAPI) -> None:
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Lapwing: the API",
        swagger_favicon_url="data:,",
        swagger_ui_parameters={"persistAuthorization": False, "displayRequestDuration": True},
    )
    html = bytes(page.body).decode()
    policy = _policy(html)

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    @app.head("/docs", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _policy(html: str) -> str:
    digests = " ".join(
        f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'" for script in _INLINE.findall(html)
    )
    return (
        f"default-src 'none'; script-src {_CDN} {digests}; style-src {_CDN} 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
