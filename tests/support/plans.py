"""How a database goes about what it is asked."""

from collections.abc import Callable

from sqlalchemy import Connection, event

Question = Callable[[Connection], object]


def explained(connection: Connection, *, question: Question) -> list[str]:
    """Ask, and return how the database went about each statement."""
    asked: list[tuple[str, object]] = []

    def note(*heard: object) -> None:
        asked.append((str(heard[2]), heard[3]))

    event.listen(connection.engine, "before_cursor_execute", note)
    try:
        question(connection)
    finally:
        event.remove(connection.engine, "before_cursor_execute", note)
    words = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    return [
        str(row[-1])
        for statement, values in asked
        if not statement.startswith(("UPDATE", "INSERT", "SAVEPOINT", "RELEASE"))
        for row in connection.exec_driver_sql(words + statement, values)  # type: ignore[arg-type]
    ]


def reads_all_of(table: str, line: str) -> bool:
    """Answer for SQLite's words and PostgreSQL's; an index that is read from one end is fine."""
    return f"Seq Scan on {table}" in line or line == f"SCAN {table}"
