"""What PostgreSQL looks at to answer a question, as it says itself: EXPLAIN (ANALYZE, BUFFERS)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tams.repository.sql.dialects import Statement
from tams.repository.sql.engine import Database, Parameters, Session
from tams.repository.sql.transaction import SqlWrite


class Cost(NamedTuple):
    """What the server looked at to answer."""

    rows: int
    buffers: int


class Explained(Session):
    """Has each statement explained, with what it really did, before it runs."""

    def __init__(self, connection: Any, database: Database) -> None:
        super().__init__(connection, database)
        self.plans: list[dict[str, Any]] = []

    def _execute(self, statement: Statement, parameters: Parameters) -> Any:
        said, constants = self._database.compiled(statement)
        told = {**constants, **parameters}
        ((plan,),) = self._connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {said}", told).fetchall()
        self.plans.append(plan[0]["Plan"])
        return super()._execute(statement, parameters)


def cost(database: Database, question: Callable[[SqlWrite], Any]) -> Cost:
    """What it takes to answer the question; what it changes is taken back."""
    connection = database.engine.raw_connection()
    try:
        explained = Explained(connection.driver_connection, database)
        explained._connection.execute("BEGIN")
        question(SqlWrite(explained))
    finally:
        connection.close()
    assert explained.plans
    buffers = sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in explained.plans)
    return Cost(sum(map(rows, explained.plans)), buffers)


def rows(plan: dict[str, Any]) -> int:
    """The rows that the steps of a plan have found or thrown away."""
    seen = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return int(seen * plan["Actual Loops"]) + sum(map(rows, plan.get("Plans", [])))
