"""PostgreSQL, a real server: streaming, read-only, no value and no password in a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from adapters.dataset import DatasetSpec, check_dataset, read_dataset
from adapters.errors import ConditionError, SourceError, SourceMissingError, SourceReadError
from adapters.opening import open_source

pytestmark = pytest.mark.postgres
People = Callable[[int], str]
ROOT = Path()


@pytest.fixture
def base(postgres_url: str, people: People) -> Iterator[str]:
    """Give the URL of a database with 5,000 rows of income, ready for options."""
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE SCHEMA tax; CREATE SEQUENCE s; CREATE TABLE plain (id text, n int)"
        )
        connection.exec_driver_sql(
            'CREATE TABLE tax.income ("身份证号" text, "年收入" numeric(14,2), kind text)'
        )
        connection.exec_driver_sql(
            "INSERT INTO tax.income VALUES (%s, %s, %s)",
            [(people(n % 2500), n, "100%:x" if n % 5 == 0 else "a") for n in range(5000)],
        )
    engine.dispose()
    separator = "&" if "?" in postgres_url else "?"
    return f"{postgres_url}{separator}"


def spec(source: str, **changes: str) -> DatasetSpec:
    return DatasetSpec(source, "身份证号", "amount", "年收入", "yuan", **changes)  # type: ignore[arg-type]


def test_a_table_is_streamed_and_added_up(base: str, people: People, tmp_path: Path) -> None:
    with read_dataset(spec(f"{base}table=tax.income"), tmp_path) as prepared:
        totals = list(prepared)
    assert totals == [(b"CN-RID:" + people(n).encode(), (2 * n + 2500) * 100) for n in range(2500)]
    assert prepared.report.columns == ("身份证号", "年收入", "kind")
    assert prepared.report.snapshot.startswith("rows:")


def test_rows_come_through_a_server_side_cursor(base: str) -> None:
    source = open_source(f"{base}table=tax.income", ROOT)
    rows = source.rows(None)
    next(rows)
    (held,) = source._connection.exec_driver_sql("SELECT COUNT(*) FROM pg_cursors").one()  # type: ignore[attr-defined]
    assert held == 1
    assert sum(1 for _ in rows) == 4999
    source.close()


def test_conditions_and_queries_are_read_literally(base: str) -> None:
    report = check_dataset(
        spec(f"{base}table=tax.income", where="kind LIKE '100%:x' AND \"年收入\" >= 10 -- end")
    )
    assert (report.read, report.filtered, report.accepted) == (5000, 4002, 998)
    query = """SELECT "身份证号", "年收入"::numeric AS 年收入 FROM tax.income WHERE kind = '100%:x'"""
    once = check_dataset(spec(f"{base}query={query}"))
    again = check_dataset(spec(f"{base}query={query} ORDER BY 2 DESC"))
    assert (once.read, once.filtered) == (1000, 0)
    assert once.snapshot == again.snapshot


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM plain RETURNING id",
        "WITH d AS (DELETE FROM plain RETURNING id) SELECT * FROM d",
        "SELECT 1; COMMIT; DROP TABLE plain",
        "SELECT 1) AS x; DROP TABLE plain; SELECT * FROM (SELECT 1",
        "SELECT nextval('s') AS id",
        "SELECT nosuch FROM plain",
    ],
)
def test_nothing_but_one_reading_select(base: str, query: str) -> None:
    with pytest.raises(SourceError):
        check_dataset(DatasetSpec(f"{base}query={query}", "id", "member"))
    source = open_source(f"{base}table=plain", ROOT)
    assert list(source.rows(None)) == []
    source.close()


def test_a_wrong_condition_names_the_columns(base: str) -> None:
    with pytest.raises(ConditionError, match="身份证号, 年收入, kind"):
        check_dataset(spec(f"{base}table=tax.income", where='"nosuch" = 1'))


def test_a_failing_value_is_not_repeated(base: str, people: People) -> None:
    with pytest.raises(SourceReadError) as caught:
        check_dataset(spec(f"{base}table=tax.income", where='CAST("身份证号" AS integer) > 1'))
    assert people(0)[:8] not in str(caught.value)
    assert caught.value.__suppress_context__


def test_no_server_and_no_password_in_the_message(postgres_url: str) -> None:
    url = make_url(postgres_url).set(database="nosuchbase", password="secretword")
    with pytest.raises(SourceMissingError) as caught:
        open_source(f"{url.render_as_string(hide_password=False)}&table=t", ROOT)
    assert "secretword" not in str(caught.value)
    with pytest.raises(ConditionError):
        open_source(postgres_url + ("&" if "?" in postgres_url else "?") + "table=nosuchtable", ROOT)
