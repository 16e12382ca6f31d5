"""The rows and buffers that PostgreSQL reads for a query, from EXPLAIN (ANALYZE, BUFFERS)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tams.repository.sql.dialects import Statement
from tams.repository.sql.engine import Database, Parameters, Session
from tams.repository.sql.transaction import SqlWrite


class Cost(NamedTuple):
    """The number of rows and of buffers that the server read."""

    rows: int
    buffers: int


class Explained(Session):
    """A session that runs EXPLAIN ANALYZE on each statement before the statement itself, and collects the plans."""

    def __init__(self, connection: Any, database: Database) -> None:
        super().__init__(connection, database)
        self.plans: list[dict[str, Any]] = []

    def _execute(self, statement: Statement, parameters: Parameters) -> Any:
        sql, constants = self._database.compiled(statement)
        values = {**constants, **parameters}
        ((plan,),) = self._connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", values).fetchall()
        self.plans.append(plan[0]["Plan"])
        return super()._execute(statement, parameters)


def cost(database: Database, question: Callable[[SqlWrite], Any]) -> Cost:
    """Return the cost of the queries in `question`, and roll back their changes."""
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
    """Return the number of rows that the steps of a plan returned or filtered out."""
    count = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return int(count * plan["Actual Loops"]) + sum(map(rows, plan.get("Plans", [])))
