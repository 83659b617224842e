"""Presets over HTTP: the gateways that a client can make without describing them."""

from fastapi import APIRouter

from api.deps import CanRead, Page
from api.gateways.schemas import PresetOut
from api.paging import PageOut, page_of
from api.places import mark_of
from api.problems import problems
from shared.gateways.custom import KIND
from shared.gateways.custom.presets import PRESETS

router = APIRouter(prefix="/gateway-presets", tags=["gateways"])


@router.get("", responses=problems(422))
async def list_gateway_presets(_: CanRead, page: Page) -> PageOut[PresetOut]:
    """Vendors' gateways as settings of the kind `custom`: name one in `POST /v1/gateways`, with its secrets."""
    mark = mark_of(page)
    after = mark.text("name") if mark else ""
    rows = [preset for name, preset in sorted(PRESETS.items()) if name > after]
    shown, cursor = page_of(rows[: page.limit + 1], page, place=lambda preset: {"name": preset.name})
    return PageOut(
        items=[
            PresetOut(
                name=preset.name,
                title=preset.title,
                documentation=preset.documentation,
                kind=KIND,
                settings=dict(preset.settings),
                settings_wanted=dict(preset.wanted),
                secrets=dict(preset.secrets),
            )
            for preset in shown
        ],
        next_cursor=cursor,
    )
