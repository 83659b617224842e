"""Metrics of both processes. Each makes its own registry once and hands it down; nothing is global.

Labels are gateways' names, lanes, statuses and route templates: never a person's, never without bound.
"""

from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_HAND_OVER_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1, 2, 5, 10, 20, 60)
_LANE_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)


@dataclass(frozen=True, slots=True)
class HttpMetrics:
    """What the api counts of itself."""

    registry: CollectorRegistry
    requests: Counter  # route, method, status
    seconds: Histogram  # route


@dataclass(frozen=True, slots=True)
class DispatcherMetrics:
    """What a dispatcher counts of itself; told at LAPWING_METRICS_PORT."""

    registry: CollectorRegistry
    messages: Counter  # outcome, gateway, kind
    hand_over_seconds: Histogram  # gateway
    lane_latency_seconds: Histogram  # lane
    lease_rescues: Counter
    receipts_applied: Counter  # verdict
    in_flight: Gauge  # lane


def http_metrics() -> HttpMetrics:
    registry = CollectorRegistry()
    return HttpMetrics(
        registry=registry,
        requests=Counter(
            "lapwing_http_requests_total", "Requests answered.", ("route", "method", "status"), registry=registry
        ),
        seconds=Histogram(
            "lapwing_http_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("route",),
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        ),
    )


def dispatcher_metrics() -> DispatcherMetrics:
    registry = CollectorRegistry()
    return DispatcherMetrics(
        registry=registry,
        messages=Counter(
            "lapwing_messages_total",
            "Hand-overs settled, by what they came to.",
            ("outcome", "gateway", "kind"),
            registry=registry,
        ),
        hand_over_seconds=Histogram(
            "lapwing_hand_over_seconds",
            "From the first byte to a gateway to its answer.",
            ("gateway",),
            buckets=_HAND_OVER_BUCKETS,
            registry=registry,
        ),
        lane_latency_seconds=Histogram(
            "lapwing_lane_latency_seconds",
            "From the moment a message is due to its hand-over.",
            ("lane",),
            buckets=_LANE_BUCKETS,
            registry=registry,
        ),
        lease_rescues=Counter(
            "lapwing_lease_rescues_total",
            "Messages whose dispatcher went silent; they are unconfirmed now.",
            registry=registry,
        ),
        receipts_applied=Counter(
            "lapwing_receipts_applied_total",
            "Receipts taken from the inbox, by verdict.",
            ("verdict",),
            registry=registry,
        ),
        in_flight=Gauge(
            "lapwing_in_flight", "Messages or events on the line at this moment.", ("lane",), registry=registry
        ),
    )


def exposition(registry: CollectorRegistry) -> bytes:
    """The registry in Prometheus' text format; serve it as CONTENT_TYPE."""
    return generate_latest(registry)
