"""A worker on the test database, behind whose door stands what a test scripts."""

from tests.worlds import another, by_hand, router, worker

__all__ = ["another", "by_hand", "router", "worker"]
