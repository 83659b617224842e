"""Callbacks over HTTP, as the document shows them and the framework serves them.

Most never come this far: `shortcut.py` answers them in half the time, in the same way.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.callbacks.desk import desk_of
from api.callbacks.reception import Asked, CallbackNotSigned, take_inbound, take_status
from api.problems import problems
from shared.adapter import Reply

Token = Annotated[str, Path(description="The gateway's own; `callback_urls` of the gateway holds it.")]

router = APIRouter(
    prefix="/callbacks",
    tags=["callbacks"],
    responses={**problems(CallbackNotSigned, 404, 413, 422, 503), 200: {"description": "Kept.", "content": {}}},
)


@router.post("/{gateway_id}/{token}/status", response_class=Response)
@router.get("/{gateway_id}/{token}/status", response_class=Response, operation_id="receive_status_by_get")
async def receive_status(request: Request, gateway_id: str, token: Token) -> Response:
    """For gateways: news of messages handed over to them. The same news twice is kept once."""
    asked = _asked(request, gateway_id, token)
    return _response(await take_status(desk_of(request.app), asked))


@router.post("/{gateway_id}/{token}/inbound", response_class=Response)
@router.get("/{gateway_id}/{token}/inbound", response_class=Response, operation_id="receive_inbound_by_get")
async def receive_inbound(request: Request, gateway_id: str, token: Token) -> Response:
    """For gateways: messages from handsets. A stop word opts the sender out at once."""
    asked = _asked(request, gateway_id, token)
    return _response(await take_inbound(desk_of(request.app), asked))


def _asked(request: Request, gateway_id: str, token: str) -> Asked:
    return Asked(
        gateway_id=gateway_id,
        token=token,
        method=request.method,
        path=request.scope["raw_path"],
        query=request.scope["query_string"],
        headers=dict(request.headers),
        read=request.body,
    )


def _response(reply: Reply) -> Response:
    return Response(reply.body, media_type=reply.media_type, status_code=reply.status)
