"""The list of campaigns at any depth: each order begins in the middle of an index, and sorts and skips nothing."""

from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.campaigns import queries
from api.campaigns.queries import SORTS, Filter
from shared.db import begin
from shared.models import Campaign

INDEX_OF = {
    "created_at": "ix_campaigns_by_creation",
    "created_by": "ix_campaigns_by_creator",
    "messages": "ix_campaigns_by_message_count",
    "name": "ix_campaigns_by_name",
    "start_at": "ix_campaigns_by_start",
    "status": "ix_campaigns_by_status",
    "target": "ix_campaigns_by_target",
}
_MANY = """
    INSERT INTO campaigns (id, name, status, created_by, created_at, updated_at, starts_at, message_count, target)
    SELECT gen_random_uuid(), 'campaign ' || i, (ARRAY['draft', 'completed', 'archived'])[1 + i % 3], 'key ' || i % 7,
           now() - i * interval '1 minute', now(), CASE WHEN i % 2 = 0 THEN now() - i * interval '1 hour' END,
           1 + i % 4, 'Group ' || i % 50
    FROM generate_series(1, 4000) AS i
"""


@pytest.fixture
async def many(engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        await tx.execute(text(_MANY))
        await tx.execute(text("ANALYZE campaigns"))


async def plan_of(engine: AsyncEngine, sort: str, wanted: Filter, after: tuple[Any, Any]) -> str:
    """How the database answers for the page after a place."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        async with begin(engine) as tx:
            await queries.list_campaigns(tx, wanted, sort=sort, after=after, limit=51)
            statement, parameters = asked[-1]
            rows = await tx.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            return "\n".join(rows.scalars())
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("name", SORTS)
async def test_page_begins_in_the_index(engine: AsyncEngine, many: None, name: str, *, descending: bool) -> None:
    async with begin(engine) as tx:
        middle = (
            select(SORTS[name], Campaign.id).where(Campaign.status != "archived").order_by(SORTS[name], Campaign.id)
        )
        value, last = (await tx.execute(middle.offset(1300).limit(1))).one()
    plan = await plan_of(engine, f"-{name}" if descending else name, Filter(), (value, last))
    # names are unique, and their unique index serves as well
    assert INDEX_OF[name] in plan or (name == "name" and "uq_campaigns_name" in plan), plan
    assert "Index Cond: (" in plan, plan
    assert "->  Sort" not in plan, plan


def test_every_order_has_its_index() -> None:
    assert set(INDEX_OF) == set(SORTS)
