"""Sources of files: URIs, encodings, sheets, views, snapshots, and everything that must be refused."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from adapters.dataset import DatasetSpec, check_dataset
from adapters.errors import (
    AdapterError,
    ColumnError,
    ConditionError,
    SourceChangedError,
    SourceError,
    SourceMissingError,
    SourceReadError,
    SourceUriError,
)
from adapters.loading import position
from adapters.opening import open_source
from adapters.report import REASONS, reason_text
from adapters.sources import SourceUri

Writer = Callable[..., str]
HEADER = ("身份证号", "姓名", "金额（元）")
RARE = "㛃\U0002a6d6䶮"


def read(uri: str, root: Path, where: str | None = None) -> list[tuple[int, tuple[object, ...] | None]]:
    source = open_source(uri, root)
    try:
        rows = source.rows(where)
        return [(number, None if values is None else tuple(values)) for number, values in rows]
    finally:
        source.close()


def values(uri: str, root: Path, where: str | None = None) -> list[tuple[object, ...] | None]:
    return [row for _, row in read(uri, root, where)]


def all_errors(kind: type[AdapterError]) -> list[type[AdapterError]]:
    return [kind, *[found for child in kind.__subclasses__() for found in all_errors(child)]]


def test_every_error_has_a_text_in_both_languages() -> None:
    for error in all_errors(AdapterError):
        if error.__name__ != "ValueRefused":
            assert error.code in REASONS
    for code in REASONS:
        assert reason_text(code, "zh-CN") != reason_text(code, "en")


@pytest.mark.parametrize(
    ("text", "scheme", "path", "options"),
    [
        ("csv:tax/income 2026.csv", "csv", "tax/income 2026.csv", {}),
        ("CSV:a.csv?encoding=gb18030&delimiter=;", "csv", "a.csv", {"encoding": "gb18030", "delimiter": ";"}),
        (
            "sqlite:h.db?query=SELECT id FROM t WHERE a >= 2 AND b = '100%'",
            "sqlite",
            "h.db",
            {"query": "SELECT id FROM t WHERE a >= 2 AND b = '100%'"},
        ),
        (
            "postgresql+psycopg://u:p@h/b?table=t&sslmode=require",
            "postgresql+psycopg",
            "//u:p@h/b",
            {"table": "t", "sslmode": "require"},
        ),
    ],
)
def test_uris(text: str, scheme: str, path: str, options: dict[str, str]) -> None:
    uri = SourceUri.parse(text)
    assert (uri.scheme, uri.path, uri.options) == (scheme, path, options)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "income.csv",
        "csv:",
        "csv:a.csv?encoding",
        "csv:a.csv?encoding=a&encoding=b",
        "csv:a.csv?sheet=x",
        "ods:a.ods",
        "csv:a.csv?delimiter=ab",
        "csv:a.csv?encoding=klingon",
        "csv:a.csv?encoding=base64",
        "sqlite:a.db",
        "sqlite:a.db?table=t&query=SELECT 1",
        "nosuch+driver://h/b?table=t",
        "postgresql+psycopg://h/b",
        "postgresql+psycopg://u:secretword@h:port/b?table=t",
    ],
)
def test_uris_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    sqlite3.connect(tmp_path / "a.db").close()
    with pytest.raises(SourceUriError) as caught:
        open_source(text, tmp_path)
    assert "secretword" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for scheme in ("csv:gone.csv", "xlsx:gone.xlsx", "sqlite:gone.db?table=t"):
        with pytest.raises(SourceMissingError, match="gone"):
            open_source(scheme, tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_csv_encodings_keep_rare_characters(encoding: str, tmp_path: Path, write_csv: Writer) -> None:
    name = write_csv([HEADER, ("1", RARE, "2")], encoding)
    option = "" if encoding.startswith("utf-8") else f"?encoding={encoding}"
    source = open_source(f"csv:{name}{option}", tmp_path)
    assert source.columns == ("身份证号", "姓名", "金额(元)")
    assert list(source.rows(None)) == [(2, ["1", RARE, "2"])]


def test_a_byte_order_mark_never_joins_the_first_column(tmp_path: Path, write_csv: Writer) -> None:
    for encoding in ("utf-8", "gb18030"):
        name = write_csv([("\ufeffid", " 金额\u3000"), ("1", "2")], encoding)
        assert open_source(f"csv:{name}?encoding={encoding}", tmp_path).columns == ("id", "金额")


def test_a_wrong_encoding_ends_the_reading(tmp_path: Path, write_csv: Writer) -> None:
    name = write_csv([HEADER, *[("1", "王", "2")] * 5], "gb18030")
    with pytest.raises(SourceReadError, match="encoding=gb18030"):
        read(f"csv:{name}", tmp_path)


def test_csv_rows_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text('\na,b,\n1,2,\n\n1,2,3\n1\n1,"2\n2"\n1,2,,\n', encoding="utf-8")
    rows = read("csv:d.csv", tmp_path)
    assert rows == [(3, ("1", "2")), (5, None), (6, None), (7, ("1", "2\n2")), (8, ("1", "2"))]


def test_csv_delimiters_and_quotes(tmp_path: Path, write_csv: Writer) -> None:
    for delimiter, option in ((";", ";"), ("\t", "tab"), ("|", "|")):
        name = write_csv([("a", "b"), ("1", f"x{delimiter}y")], delimiter=delimiter)
        assert values(f"csv:{name}?delimiter={option}", tmp_path) == [("1", f"x{delimiter}y")]
    (tmp_path / "open.csv").write_text('a,b\n1,2\n1,"2\n3,4\n')
    with pytest.raises(SourceReadError, match="quot"):
        read("csv:open.csv", tmp_path)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SourceReadError, match="header"):
        open_source("csv:empty.csv", tmp_path)


def test_xlsx_cells_keep_their_types(tmp_path: Path, write_xlsx: Writer) -> None:
    day = datetime(2026, 10, 31)  # noqa: DTZ001
    rows = [
        (),
        ("id", " 金额", None),
        (110105491231002, 12.5),
        (),
        ("'1", None),
        ("2", day, None),
        ("3", 1, "?"),
    ]
    name = write_xlsx({"封面": [["cover"]], "养老金": rows})
    assert read(f"xlsx:{name}?sheet=养老金", tmp_path) == [
        (3, (110105491231002, 12.5)),
        (5, ("'1", None)),
        (6, ("2", day)),
        (7, None),
    ]
    assert open_source(f"xlsx:{name}", tmp_path).columns == ("cover",)


def test_xlsx_refusals(tmp_path: Path, write_xlsx: Writer) -> None:
    name = write_xlsx({"one": [["a"]], "blank": []})
    with pytest.raises(SourceMissingError, match="one, blank"):
        open_source(f"xlsx:{name}?sheet=two", tmp_path)
    with pytest.raises(SourceReadError, match="header"):
        open_source(f"xlsx:{name}?sheet=blank", tmp_path)
    (tmp_path / "no.xlsx").write_bytes(b"not a workbook")
    with pytest.raises(SourceReadError, match="XLSX"):
        open_source("xlsx:no.xlsx", tmp_path)


def test_sqlite_tables_views_and_queries(tmp_path: Path, write_sqlite: Writer) -> None:
    script = "CREATE TABLE t (owner TEXT, 面积 REAL); CREATE VIEW big AS SELECT owner FROM t WHERE 面积 > 90;"
    name = write_sqlite(script, [("a", 100.5), ("a", 95.0), ("b", 50.0)])
    assert values(f"sqlite:{name}?table=t", tmp_path, "面积 > 60") == [("a", 100.5), ("a", 95.0)]
    assert values(f"sqlite:{name}?table=big", tmp_path) == [("a",), ("a",)]
    query = "SELECT owner, COUNT(*) AS n FROM t GROUP BY owner HAVING COUNT(*) >= 2 -- two & more"
    with pytest.raises(SourceUriError, match="'&'"):
        open_source(f"sqlite:{name}?query={query}", tmp_path)
    query = query.replace("&", "or")
    assert values(f"sqlite:{name}?query={query}", tmp_path) == [("a", 2)]
    assert values(f"sqlite:{name}?query={query};", tmp_path, "n > 2 -- none") == []
    with pytest.raises(SourceMissingError, match="t, big"):
        open_source(f"sqlite:{name}?table=u", tmp_path)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "PRAGMA journal_mode = WAL",
        "ATTACH 'x.db' AS x",
        "SELECT 1; DELETE FROM t",
        "SELECT nosuch FROM t",
        "WITH d AS (SELECT 1) DELETE FROM t",
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_database_list",
        "SELECT 1) AS a UNION SELECT (2",
        "",
    ],
)
def test_sqlite_runs_nothing_but_one_select(query: str, tmp_path: Path, write_sqlite: Writer) -> None:
    name = write_sqlite("CREATE TABLE t (id TEXT);", [("1",)])
    before = (tmp_path / name).read_bytes()
    with pytest.raises(SourceError):
        read(f"sqlite:{name}?query={query}", tmp_path)
    assert (tmp_path / name).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_sqlite_text_that_is_not_utf8_is_never_repeated(tmp_path: Path, write_sqlite: Writer) -> None:
    name = write_sqlite("CREATE TABLE t (id TEXT); INSERT INTO t VALUES (CAST(x'3131B0B1' AS TEXT));")
    with pytest.raises(SourceReadError) as caught:
        read(f"sqlite:{name}?table=t", tmp_path)
    assert "11" not in str(caught.value)
    assert caught.value.__suppress_context__
    (tmp_path / "no.db").write_bytes(b"not a database, just some bytes" * 50)
    with pytest.raises(SourceReadError, match="SQLite"):
        open_source("sqlite:no.db?table=t", tmp_path)


TABLE = [HEADER, ("01", "甲", "900"), ("2", "乙", "1000"), ("3", "", "1000.50")]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("姓名 <> '乙'", ["01", "3"]),
        ("\"身份证号\" = '01'", ["01"]),
        ("身份证号 LIKE '0%'", ["01"]),
        ("身份证号 = 2", ["2"]),
        ('CAST("金额（元）" AS REAL) >= 1000', ["2", "3"]),
        ("CAST(金额（元） AS REAL) >= 1000", ["2", "3"]),
        ("cast([金额(元)] AS REAL) < 1000 -- small", ["01"]),
        ("`姓名` = '' /* empty */", ["3"]),
        ("姓名 IN ('甲', '\"丙\"') OR 1 = 0", ["01"]),
        ("1", ["01", "2", "3"]),
        ("NULL", []),
    ],
)
def test_conditions_over_table_files(
    kind: str, where: str, ids: list[str], tmp_path: Path, write_csv: Writer, write_xlsx: Writer
) -> None:
    name = write_csv(TABLE) if kind == "csv" else write_xlsx({"s": TABLE})
    source = open_source(f"{kind}:{name}", tmp_path)
    assert [row[0] for _, row in source.rows(where) if row is not None] == ids
    assert source.filtered == 3 - len(ids)
    source.close()


@pytest.mark.parametrize("kind", ["csv", "sqlite"])
@pytest.mark.parametrize(
    "where",
    [
        "",
        "nosuch = 1",
        '"nosuch" <> 1',
        "姓名 =",
        "1; DROP TABLE t",
        "COUNT(*) > 1",
        "1) LIMIT 1 --",
        "姓名 = ?",
    ],
)
def test_conditions_refused(
    kind: str, where: str, tmp_path: Path, write_csv: Writer, write_sqlite: Writer
) -> None:
    script = 'CREATE TABLE t (身份证号 TEXT, 姓名 TEXT, "金额（元）" TEXT);'
    uri = f"csv:{write_csv(TABLE)}" if kind == "csv" else f"sqlite:{write_sqlite(script, TABLE[1:])}?table=t"
    with pytest.raises(ConditionError) as caught:
        read(uri, tmp_path, where)
    assert where in ("", "1; DROP TABLE t") or "身份证号, 姓名, 金额" in str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "sqlite"])
@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("姓名 = '王小明' AND 身份证号 = '331099194801020333", "a quotation mark is missing"),
        ('姓名 = "王小明"', "double-quoted name"),
        ('身份证号 = "331099194801020333"', "double-quoted name"),
        ("姓名 = 王小明", "a name that is no column"),
        ("身份证号 = 身份证号 331099194801020333", "a syntax error"),
        ("身份证号 = AND 331099194801020333", "a syntax error near AND"),
        ("王小明(331099194801020333)", "a function that is not known"),
    ],
)
def test_the_fault_of_a_condition_repeats_nothing_of_it(
    kind: str, where: str, reason: str, tmp_path: Path, write_csv: Writer, write_sqlite: Writer
) -> None:
    script = 'CREATE TABLE t (身份证号 TEXT, 姓名 TEXT, "金额（元）" TEXT);'
    uri = f"csv:{write_csv(TABLE)}" if kind == "csv" else f"sqlite:{write_sqlite(script, TABLE[1:])}?table=t"
    with pytest.raises(ConditionError, match=reason) as caught:
        read(uri, tmp_path, where)
    for secret in ("331099194801020333", "王小明", "rowid", "AS source"):
        assert secret not in str(caught.value)


def test_the_encoding_of_the_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_bytes("身份证号\n1\n".encode() + b"\xff")
    with pytest.raises(SourceReadError, match=r"the first bytes are not gbk: .* or .encoding=utf-8"):
        open_source("csv:u.csv?encoding=gbk", tmp_path)


def test_a_file_without_a_header_shows_no_identifier(tmp_path: Path, write_csv: Writer) -> None:
    uri = f"csv:{write_csv([('331099194801020333', '900'), ('331099196001010013', '1000')])}"
    with pytest.raises(ColumnError) as caught:
        check_dataset(DatasetSpec(uri, "身份证号", "member", root=tmp_path))
    assert "3310" not in str(caught.value)
    assert "******" in str(caught.value)


def test_a_condition_on_a_file_sees_one_row(tmp_path: Path, write_csv: Writer) -> None:
    with pytest.raises(ConditionError, match="one row"):
        read(f"csv:{write_csv(TABLE)}", tmp_path, "身份证号 = (SELECT MAX(身份证号) FROM batch)")


def test_a_condition_that_fails_on_a_value_does_not_repeat_it(tmp_path: Path, write_csv: Writer) -> None:
    with pytest.raises(ConditionError) as caught:
        read(f"csv:{write_csv(TABLE)}", tmp_path, "json_extract(姓名, '$.a') = 1")
    assert "甲" not in str(caught.value)


def test_a_condition_on_sqlite_matches_names_as_everywhere(tmp_path: Path, write_sqlite: Writer) -> None:
    name = write_sqlite('CREATE TABLE t (id TEXT, "金额（元）" INTEGER);', [("1", 5), ("2", 15)])
    for where in ('"金额(元)" > 9', "金额（元） > 9", 'id IN (SELECT "id" FROM t WHERE id = 2)'):
        assert values(f"sqlite:{name}?table=t", tmp_path, where) == [("2", 15)]


def test_columns_that_stand_twice(tmp_path: Path, write_csv: Writer) -> None:
    uri = f"csv:{write_csv([('id', 'ID', 'a', 'a', ''), ('1', '2', '3', '4', '')])}"
    columns = open_source(uri, tmp_path).columns
    assert (position(columns, "id"), position(columns, "ＩＤ")) == (0, 1)
    with pytest.raises(ColumnError, match="more than one"):
        position(columns, "a")
    with pytest.raises(ColumnError, match="id, ID, a, a"):
        position(columns, "b")
    with pytest.raises(ColumnError):
        position(columns, "")
    with pytest.raises(ColumnError, match="more than one"):
        read(uri, tmp_path, "a = '3'")


def test_snapshots_are_of_the_bytes(
    tmp_path: Path, write_csv: Writer, write_xlsx: Writer, write_sqlite: Writer
) -> None:
    csv_uri = f"csv:{write_csv(TABLE)}"
    digests = set()
    for uri in (
        csv_uri,
        f"xlsx:{write_xlsx({'s': TABLE})}",
        f"sqlite:{write_sqlite('CREATE TABLE t (a);')}?table=t",
    ):
        source = open_source(uri, tmp_path)
        digest = source.snapshot()
        source.close()
        assert digest is not None
        assert digest.startswith("sha256:")
        digests.add(digest)
    assert len(digests) == 3
    write_csv([*TABLE, ("4", "", "1")])
    assert open_source(csv_uri, tmp_path).snapshot() not in digests


def test_sqlite_in_wal_mode_proves_nothing_but_reads(tmp_path: Path, write_sqlite: Writer) -> None:
    name = write_sqlite("PRAGMA journal_mode = WAL; CREATE TABLE t (a);", [(1,)])
    writer = sqlite3.connect(tmp_path / name)
    writer.execute("INSERT INTO t VALUES (2)")
    writer.commit()
    source = open_source(f"sqlite:{name}?table=t", tmp_path)
    assert source.snapshot() is None
    assert [row for _, row in source.rows(None)] == [(1,), (2,)]
    source.close()
    writer.close()


@pytest.mark.parametrize("change", ["append", "replace", "remove"])
def test_a_file_that_changes_while_it_is_read(change: str, tmp_path: Path, write_csv: Writer) -> None:
    path = tmp_path / write_csv(TABLE)
    rows = open_source(f"csv:{path.name}", tmp_path).rows(None)
    next(rows)
    if change == "append":
        with path.open("a") as file:
            file.write("9,,1\n")
    elif change == "replace":
        (tmp_path / "other").write_bytes(path.read_bytes())
        os.replace(tmp_path / "other", path)  # noqa: PTH105
    else:
        path.unlink()
    with pytest.raises(SourceChangedError):
        list(rows)
