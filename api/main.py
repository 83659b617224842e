"""The HTTP process: `create_app` puts it together from what it is given, `main` opens that from the environment."""

import asyncio
import signal
import tomllib
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from api import health, metrics, postman, problem_pages
from api.api_keys import routes as api_keys
from api.attachments import links as attachment_links
from api.attachments import routes as attachments
from api.audit import routes as audit
from api.automations import events
from api.automations import routes as automations
from api.backstop import Backstop
from api.callbacks import routes as callbacks
from api.callbacks.shortcut import Shortcut
from api.campaigns import commands as campaign_commands
from api.campaigns import copies as campaign_copies
from api.campaigns import estimate as campaign_estimates
from api.campaigns import routes as campaigns
from api.campaigns import schedule as campaign_schedule
from api.campaigns.results import routes as campaign_results
from api.consents import routes as consents
from api.contact_fields import routes as contact_fields
from api.contacts import routes as contacts
from api.docs import add_docs
from api.erasures import routes as erasures
from api.frontdoor import Frontdoor
from api.gate import LARGEST_HEAD, LONGEST_TARGET, Gate
from api.gateways import balances, callback_tokens, script_versions, trials
from api.gateways import classify as gateway_answers
from api.gateways import presets as gateway_presets
from api.gateways import routes as gateways
from api.handlers import add_handlers
from api.imports import routes as imports
from api.inbound import routes as inbound
from api.limits import CALLBACK_LIMIT, JSON_LIMIT
from api.me import routes as me
from api.messages import export as message_export
from api.messages import recall as message_recall
from api.messages import routes as messages
from api.messages.wait import Watch
from api.metrics import QueueMetrics
from api.notices import routes as notices
from api.openapi import describe
from api.opt_outs import lists as opt_out_lists
from api.opt_outs import routes as opt_outs
from api.otp import routes as otp
from api.otp_profiles import routes as otp_profiles
from api.otp_watch import routes as otp_watch
from api.parameters import only_known_parameters
from api.policy import routes as policy
from api.prices import routes as prices
from api.quota import routes as quota
from api.recipients import routes as recipients
from api.resources import Resources, open_resources
from api.security import KeyCheck
from api.sender_ids import routes as sender_ids
from api.tags import routes as tags
from api.target_groups import routes as target_groups
from api.templates import routes as templates
from api.texts import routes as texts
from api.webhooks import deliveries as webhook_deliveries
from api.webhooks import routes as webhooks
from shared import log
from shared.metrics import http_metrics
from shared.settings import Settings

_GRACE_SECONDS: Final = 20
# For pages of an origin that the operator has named. A key in a page is everybody's: give it the scope `send` at most.
_CORS: Final[dict[str, Any]] = {
    "allow_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
    "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"],
    "expose_headers": [
        "Idempotent-Replayed",
        "Location",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "X-Request-Id",
    ],
    "max_age": 600,
}


# In the order in which a reader meets them in /docs.
_V1: Final = (
    contacts.router,
    consents.router,
    erasures.router,
    contact_fields.router,
    imports.router,
    target_groups.router,
    templates.router,
    tags.router,
    texts.router,
    attachments.router,
    campaigns.router,
    campaign_commands.router,
    recipients.router,
    campaign_estimates.router,
    campaign_schedule.router,
    campaign_copies.router,
    campaign_results.router,
    message_recall.router,
    message_export.router,  # before the paths that hold a message's id
    messages.router,
    otp_watch.router,  # before the paths that hold a password's id
    otp.router,
    otp_profiles.router,
    automations.router,
    events.router,
    gateway_answers.router,  # before the paths that hold a gateway's id
    gateways.router,
    callback_tokens.router,
    gateway_presets.router,
    balances.router,
    trials.router,
    script_versions.router,
    sender_ids.router,
    opt_out_lists.router,
    opt_outs.router,
    inbound.router,
    notices.router,
    policy.router,
    quota.router,
    prices.router,
    me.router,
    webhooks.router,
    webhook_deliveries.router,
    api_keys.router,
    audit.router,
)


def create_app(resources: Resources) -> FastAPI:
    """The whole api over these resources; it owns none of them."""
    app = FastAPI(
        title="Lapwing",
        version=_version(),
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        license_info=None,
        # Ours is /metrics and the logs; without a provider it would still ask for one at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=lambda route: route.name,
    )
    equip(app, resources)
    for router in _V1:
        app.include_router(
            router, prefix="/v1", max_body_size=JSON_LIMIT, dependencies=[Depends(only_known_parameters)]
        )
    app.include_router(callbacks.router, max_body_size=CALLBACK_LIMIT)
    app.include_router(attachment_links.router, max_body_size=CALLBACK_LIMIT)
    for router in (problem_pages.router, health.router, metrics.router, postman.router):
        app.include_router(router, max_body_size=JSON_LIMIT)
    add_handlers(app)
    add_docs(app)
    describe(app)
    # The last one is the outermost: the page that asked sees whatever is refused inside of CORS.
    app.add_middleware(Shortcut)
    app.add_middleware(Gate)
    app.add_middleware(Backstop)
    if resources.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=resources.cors_origins, **_CORS)
    app.add_middleware(Frontdoor)
    return app


def equip(app: FastAPI, resources: Resources) -> None:
    """Give the app what it works with: all that it owns and all that it remembers."""
    app.state.resources = resources
    app.state.key_check = KeyCheck(resources.engine, resources.admin_key_digest)
    app.state.metrics = http_metrics()
    app.state.queue_metrics = QueueMetrics(resources.engine)
    app.state.watch = Watch(resources.engine)


async def serve(settings: Settings) -> None:
    """Until SIGTERM or Ctrl-C; requests under way are answered first."""
    async with open_resources(settings) as resources:
        config = uvicorn.Config(
            create_app(resources),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            timeout_keep_alive=30,
            # Whom X-Forwarded-For is believed from: nobody, unless told.
            forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
            # Above what the gate takes, so that its answer is the one that is heard.
            h11_max_incomplete_event_size=4 * (LARGEST_HEAD + LONGEST_TARGET),
        )
        await uvicorn.Server(config).serve()


def main() -> None:
    settings = Settings.from_environment()
    log.configure("api")
    # uvicorn stops on these, then raises them again for whoever was there before: let that be nobody.
    for farewell in (signal.SIGTERM, signal.SIGINT):
        signal.signal(farewell, _ignore)
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(serve(settings))


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _version() -> str:
    """From the project's own file, for nothing is installed into site-packages."""
    file = Path(__file__).parents[1] / "pyproject.toml"
    try:
        version: str = tomllib.loads(file.read_text())["project"]["version"]
    except FileNotFoundError:
        return "unknown"
    return version


if __name__ == "__main__":
    main()
