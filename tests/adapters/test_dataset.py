"""From messy rows to persons: aggregation, repeats, refusals, definition, work files, bounded memory."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.dataset import DatasetSpec, check_dataset, definition_digest, read_dataset
from adapters.errors import ColumnError, DatasetError, SourceReadError, WorkError
from adapters.report import REASONS, QualityReport

Writer = Callable[..., str]
People = Callable[[int], str]
HEAD = ("流水号", "身份证号", "年收入", "税目")


def spec(source: str, root: Path, **changes: object) -> DatasetSpec:
    fields: dict[str, object] = {"kind": "amount", "amount": "年收入", "unit": "yuan"} | changes
    return DatasetSpec(source=source, identifier="身份证号", root=root, **fields)  # type: ignore[arg-type]


def member(source: str, root: Path, **changes: object) -> DatasetSpec:
    return spec(source, root, kind="member", amount=None, unit=None, **changes)


def bytes_of(identifier: str) -> bytes:
    return b"CN-RID:" + identifier.encode()


def wide(text: str) -> str:
    return "".join(chr(ord(mark) + 0xFEE0) for mark in text)


def test_one_person_under_many_forms_is_one_row(tmp_path: Path, write_csv: Writer, people: People) -> None:
    a, b = people(1), people(2)
    forms = (a, a[:6] + a[8:17], wide(a), f"'{a}", f" {a[:6]} {a[6:]}", a.lower())
    rows = [HEAD, *[(n, form, "1,000.01", "工资") for n, form in enumerate(forms)], (9, b, "-5", "亏损")]
    source = f"csv:{write_csv(rows, 'gb18030')}?encoding=gb18030"
    with read_dataset(spec(source, tmp_path), tmp_path / "work") as prepared:
        assert list(prepared) == [(bytes_of(a), 600_006), (bytes_of(b), -500)]
        assert list(prepared) == list(prepared.items())
        assert len(prepared) == 2
        assert prepared.report.duplicates == 0
    with read_dataset(member(source, tmp_path)) as prepared:
        assert list(prepared) == [(bytes_of(a), None), (bytes_of(b), None)]
        assert prepared.report.duplicates == 5


def test_identical_rows_are_added_unless_a_key_tells_them_apart(
    tmp_path: Path, write_csv: Writer, people: People
) -> None:
    a, b = people(1), people(2)
    rows = [
        ("1", a, "10", ""),
        ("1", a, "10", ""),
        ("2", a, "10", ""),
        ("1", a, "10.00", "x"),
        ("1", b, "7", ""),
    ]
    source = f"csv:{write_csv([HEAD, *rows])}"
    with read_dataset(spec(source, tmp_path)) as prepared:
        assert list(prepared) == [(bytes_of(a), 4000), (bytes_of(b), 700)]
        assert (prepared.report.duplicates, prepared.report.accepted) == (1, 5)
    with read_dataset(spec(source, tmp_path, row_key=("流水号",))) as prepared:
        assert list(prepared) == [(bytes_of(a), 2000)]
        report = prepared.report
    assert (report.duplicates, report.accepted, report.partial) == (2, 4, 0)
    assert report.to_json()["refused"] == {"row_key_conflict": {"count": 1, "rows": [6]}}
    with read_dataset(spec(source, tmp_path, row_key=("流水号", "身份证号"))) as prepared:
        assert list(prepared) == [(bytes_of(a), 2000), (bytes_of(b), 700)]
    with read_dataset(member(source, tmp_path, row_key=("流水号",))) as prepared:
        assert len(prepared) == 2


def test_every_bad_row_is_refused_by_reason_and_number(
    tmp_path: Path, write_csv: Writer, people: People
) -> None:
    good = people(1)
    bad = good[:17] + ("1" if good[17] == "0" else "0")
    rows: list[tuple[object, ...]] = [
        ("1", good, "10", ""),
        ("2", bad, "1", ""),
        ("3", "", "1", ""),
        ("4", "3.31098E+17", "1", ""),
        ("5", "331098198502300011", "1", ""),
        ("6", good, "", ""),
        ("7", good, "不详", ""),
        ("8", people(2), "0.001", ""),
        ("9", good, "99999999999", ""),
        ("10", good, "1", "", "spill"),
        ("", good, "1", ""),
        ("12", good, "1", "稿酬"),
    ]
    source = f"csv:{write_csv([HEAD, *rows])}"
    report = check_dataset(spec(source, tmp_path, row_key=("流水号",), where="税目 <> '稿酬'"))
    expected = {
        "identifier_check": 3,
        "identifier_empty": 4,
        "identifier_scientific": 5,
        "identifier_date": 6,
        "amount_empty": 7,
        "amount_format": 8,
        "amount_fraction": 9,
        "amount_range": 10,
        "row_shape": 11,
        "row_key_empty": 12,
    }
    assert {code: refusals.rows for code, refusals in report.refused.items()} == {
        code: [row] for code, row in expected.items()
    }
    assert (report.read, report.filtered, report.accepted, report.persons, report.partial) == (12, 1, 1, 1, 1)
    assert report.read == report.filtered + report.accepted + report.refused_rows
    text = json.dumps(report.to_json(), ensure_ascii=False) + str(report.table()) + str(report.table("zh-CN"))
    assert good not in text
    assert bad not in text
    assert set(report.refused) <= set(REASONS)
    assert QualityReport.from_json(json.loads(json.dumps(report.to_json()))).to_json() == report.to_json()


def test_a_report_keeps_the_first_row_numbers_only(tmp_path: Path, write_csv: Writer) -> None:
    report = check_dataset(member(f"csv:{write_csv([HEAD, *[('1', '某', '', '')] * 50])}", tmp_path))
    assert report.refused["identifier_characters"].count == 50
    assert report.refused["identifier_characters"].rows == list(range(2, 12))
    assert any("50" in text and "2, 3" in text and "…" in text for _, text in report.table("zh-CN"))


def test_a_total_out_of_range_refuses_the_person(tmp_path: Path, write_csv: Writer, people: People) -> None:
    rows = [("1", people(1), "9999999999", ""), ("2", people(1), "9999999999", ""), ("3", people(2), "1", "")]
    with read_dataset(spec(f"csv:{write_csv([HEAD, *rows])}", tmp_path)) as prepared:
        assert list(prepared) == [(bytes_of(people(2)), 100)]
        report = prepared.report
    assert (report.persons, report.accepted, report.refused["total_range"].count) == (1, 1, 2)


def test_xlsx_numbers_strings_and_lost_digits(tmp_path: Path, write_xlsx: Writer, people: People) -> None:
    a = people(7)
    rows = [
        HEAD,
        (1, a, 0.1, None),
        (2, int(a[:6] + a[8:17]), 1234.56, None),
        (3, f"'{a}", "1.2万", None),
        (4, 3.3109819500107e17, 1, None),
        (5, people(8), None, None),
    ]
    with read_dataset(spec(f"xlsx:{write_xlsx({'s': rows})}", tmp_path)) as prepared:
        assert list(prepared) == [(bytes_of(a), 10 + 123_456 + 1_200_000)]
        assert set(prepared.report.refused) == {"identifier_digits_lost", "amount_empty"}


def test_sqlite_datasets(tmp_path: Path, write_sqlite: Writer, people: People) -> None:
    rows = [(people(n % 3), n) for n in range(9)]
    name = write_sqlite(
        "CREATE TABLE t (身份证号 TEXT, 年收入 INTEGER); CREATE VIEW v AS SELECT * FROM t;", rows
    )
    dataset = spec(f"sqlite:{name}?table=v", tmp_path, unit="fen", where="年收入 > 2")
    with read_dataset(dataset) as prepared:
        assert list(prepared) == [(bytes_of(people(n)), 3 + n + 6 + n) for n in range(3)]
        assert (prepared.report.read, prepared.report.filtered) == (9, 3)
        assert prepared.report.snapshot.startswith("sha256:")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    rows=st.lists(st.tuples(st.integers(0, 30), st.integers(-(10**9), 10**9), st.booleans()), max_size=120)
)
def test_totals_equal_a_plain_sum(
    rows: list[tuple[int, int, bool]], tmp_path: Path, write_csv: Writer, people: People
) -> None:
    expected: dict[bytes, int] = defaultdict(int)
    lines: list[tuple[object, ...]] = [HEAD]
    for number, amount, old in rows:
        who = people(number)
        expected[bytes_of(who)] += amount
        lines.append(("", who[:6] + who[8:17] if old else who, f"{amount}", ""))
    with read_dataset(spec(f"csv:{write_csv(lines)}", tmp_path, unit="fen"), tmp_path / "work") as prepared:
        assert list(prepared) == sorted(expected.items())
        for done in (0, 1, len(expected) // 2, len(expected), len(expected) + 1):
            assert list(prepared.items(done)) == sorted(expected.items())[done:]


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "set"},
        {"kind": "member"},
        {"amount": None},
        {"unit": None},
        {"unit": "jiao"},
    ],
)
def test_contradictory_declarations(changes: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        spec("csv:a.csv", tmp_path, **changes)


def test_a_missing_column_is_told_with_those_there_are(tmp_path: Path, write_csv: Writer) -> None:
    with pytest.raises(ColumnError, match="年收入, 税目"):
        check_dataset(spec(f"csv:{write_csv([HEAD])}", tmp_path, amount="收入"))


def test_the_definition_covers_what_is_published_and_no_credential(tmp_path: Path) -> None:
    base = spec("csv:a.csv?encoding=gb18030", tmp_path)
    others = [
        spec("csv:b.csv?encoding=gb18030", tmp_path),
        spec("csv:a.csv", tmp_path),
        spec("csv:a.csv?encoding=gb18030", tmp_path, unit="fen"),
        spec("csv:a.csv?encoding=gb18030", tmp_path, amount="月收入"),
        spec("csv:a.csv?encoding=gb18030", tmp_path, where="1"),
        spec("csv:a.csv?encoding=gb18030", tmp_path, row_key=("流水号",)),
        member("csv:a.csv?encoding=gb18030", tmp_path),
        spec("sqlite:a.db?table=t", tmp_path),
        spec("sqlite:a.db?query=SELECT * FROM t", tmp_path),
    ]
    digests = {definition_digest(one) for one in [base, *others]}
    assert len(digests) == 10
    assert definition_digest(spec("csv:a.csv?encoding=gb18030", Path("/elsewhere"))) in digests
    assert definition_digest(spec("csv:a.csv?encoding=gb18030", tmp_path, amount=" 年收入\u3000")) in digests
    server = "postgresql+psycopg://{}/base?table=t{}"
    assert definition_digest(spec(server.format("u:p@one:5432", ""), tmp_path)) == definition_digest(
        spec(server.format("v:q@two", "&sslmode=require&password=z"), tmp_path)
    )
    assert definition_digest(spec(server.format("one", "s"), tmp_path)) != definition_digest(
        spec(server.format("one", ""), tmp_path)
    )


def test_the_definition_digest_does_not_drift(tmp_path: Path) -> None:
    dataset = spec("csv:tax/income.csv?encoding=gb18030", tmp_path, where="税目 <> '稿酬'")
    assert definition_digest(dataset).hex() == (
        "0d0210a32d440a6d4baec0f2d7deaffde38cbc12895b5b9775923905475388bb"
    )


def test_the_work_file_leaves_nothing_behind(tmp_path: Path, write_csv: Writer, people: People) -> None:
    source = f"csv:{write_csv([HEAD, ('1', people(1), '1', '')])}"
    work = tmp_path / "home" / "work"
    with read_dataset(spec(source, tmp_path), work) as prepared:
        assert list(work.iterdir()) == []
        assert len(list(prepared)) == 1
    assert stat.S_IMODE(work.stat().st_mode) == 0o700


def test_a_kept_work_file_serves_the_same_snapshot_only(
    tmp_path: Path, write_csv: Writer, people: People
) -> None:
    rows: list[tuple[object, ...]] = [HEAD, ("1", people(1), "1", "")]
    dataset = spec(f"csv:{write_csv(rows)}", tmp_path)
    work = tmp_path / "work"
    first = read_dataset(dataset, work, keep=True)
    (kept,) = work.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    first.close()
    counts: list[int] = []
    with read_dataset(dataset, work, counts.append, keep=True) as again:
        assert list(again) == list(again.items())
        assert again.report.to_json() == first.report.to_json()
        assert counts == []
    write_csv([*rows, ("2", people(2), "1", "")])
    changed = read_dataset(dataset, work, counts.append, keep=True)
    assert len(changed) == 2
    assert counts == [2]
    changed.close()
    assert [path.suffix for path in work.iterdir()] == [".db"], "the earlier file is gone"


def test_a_broken_kept_file_is_read_again(tmp_path: Path, write_csv: Writer, people: People) -> None:
    dataset = spec(f"csv:{write_csv([HEAD, ('1', people(1), '1', '')])}", tmp_path)
    work = tmp_path / "work"
    read_dataset(dataset, work, keep=True).close()
    (kept,) = work.iterdir()
    kept.write_bytes(b"rubbish" * 1000)
    with read_dataset(dataset, work, keep=True) as prepared:
        assert len(list(prepared)) == 1


def test_an_error_or_a_cancelled_reading_leaves_nothing(
    tmp_path: Path, write_csv: Writer, people: People
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    name = write_csv([HEAD, *[(n, people(n), "1", "") for n in range(9000)]])
    dataset = spec(f"csv:{name}", tmp_path)

    def cancel(rows: int) -> None:
        raise KeyboardInterrupt

    for keep in (True, False):
        with pytest.raises(KeyboardInterrupt):
            read_dataset(dataset, work, cancel, keep=keep)
        assert list(work.iterdir()) == []
    with (tmp_path / name).open("ab") as file:
        file.write(b"\xff\xff\n")
    with pytest.raises(SourceReadError):
        read_dataset(dataset, work, keep=True)
    assert list(work.iterdir()) == []


def test_leftovers_of_a_killed_reading_are_removed(tmp_path: Path, write_csv: Writer) -> None:
    dataset = spec(f"csv:{write_csv([HEAD])}", tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    leftover = work / f"rows-{definition_digest(dataset).hex()[:32]}.abc.part"
    leftover.write_bytes(b"")
    read_dataset(dataset, work).close()
    assert not leftover.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError):
        read_dataset(dataset, tmp_path / "file")


def test_rows_of_a_database_have_a_fingerprint_that_ignores_their_order(
    tmp_path: Path, write_sqlite: Writer, people: People
) -> None:
    rows = [(people(n), n) for n in range(20)]
    prints = []
    for number, content in enumerate((rows, rows[::-1], [*rows, rows[0]])):
        script = "PRAGMA journal_mode = WAL; CREATE TABLE t (身份证号 TEXT, 年收入 INTEGER);"
        name = write_sqlite(script, content, name=f"{number}.db")
        prints.append(check_dataset(spec(f"sqlite:{name}?table=t", tmp_path)).snapshot)
    assert prints[0].startswith("rows:")
    assert prints[0] == prints[1] != prints[2]


MEASURE = """
import re, resource, sys, time
from pathlib import Path
from adapters.dataset import DatasetSpec, read_dataset

def peak():  # KiB; Linux hands ru_maxrss down to a child, but not VmHWM
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+([0-9]+) kB", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def read(name):
    spec = DatasetSpec(f"csv:{name}", "身份证号", "amount", "年收入", "yuan", root=Path(sys.argv[1]))
    with read_dataset(spec, Path(sys.argv[1])) as prepared:
        persons = sum(1 for _ in prepared)
    return persons, peak()

_, before = read("small.csv")
start = time.perf_counter()
persons, after = read("big.csv")
print(persons, after - before, int(persons / (time.perf_counter() - start)))
"""


def test_memory_is_bounded_and_speed_is_fair(tmp_path: Path, people: People) -> None:
    """In a process of its own: SQLite's memory counts too. 300,000 rows held at once would take 90 MiB."""
    for name, rows in (("small.csv", 10), ("big.csv", 300_000)):
        with (tmp_path / name).open("w", encoding="utf-8") as file:
            file.write(",".join(HEAD) + "\n")
            file.writelines(f"{n},{people(n)},{n}.50,工资\n" for n in range(rows))
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    persons, kibibytes, speed = map(int, done.stdout.split())
    assert persons == 300_000
    assert kibibytes < 48 * 1024, f"{kibibytes / 1024:.1f} MiB"
    assert speed > 10_000, f"{speed:,} rows a second"
