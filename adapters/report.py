"""The quality report of one reading: counts, reasons and row numbers, never a value of a row.

    read = filtered + accepted + Σ refused            (rows)
    duplicates ≤ accepted                             (rows that repeat an accepted one)

``duplicates``: of an amount dataset without a row key, rows identical in every column to one accepted
before (they are added all the same); with a row key, rows whose key was accepted before (they count once);
of a member dataset, further rows of a person. ``partial`` counts persons to be published of whom a row was
refused as well: their total or their presence may be incomplete, so look at these refusals first.

``snapshot`` says what was read: ``sha256:…`` of the source file, or ``rows:…``, a fingerprint of the rows
as a multiset where only a database could tell (equal fingerprints: the same rows, in whatever order).

``REASONS`` is the catalogue of reasons: one stable code, one English and one zh-CN text each. Three kinds of
code share it: why one row is refused, what a whole source or dataset does wrong, and
the labels of a quality report. A text names the remedy and never holds a value of a row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

FIRST_ROWS = 10
"""How many row numbers a report keeps for each reason."""


@dataclass
class Refusals:
    """How many rows one reason refused, and the numbers of the first ones."""

    count: int = 0
    rows: list[int] = field(default_factory=list)

    def add(self, row: int) -> None:
        """Count row number ``row``."""
        self.count += 1
        if len(self.rows) < FIRST_ROWS:
            self.rows.append(row)


@dataclass(frozen=True)
class QualityReport:
    """What one reading of a source found; the module docstring has the meaning of each count.

    Attributes:
        kind: "member" or "amount".
        read: rows of the source, blank ones aside.
        filtered: rows the condition left out.
        accepted: rows that count towards a person.
        duplicates: accepted rows that repeat another.
        persons: persons to be published.
        partial: persons among them with a refused row.
        refused: reason code to count and first row numbers.
        snapshot: what was read.
        definition: hex digest of the dataset's definition.
        columns: the source's columns.
    """

    kind: str
    read: int
    filtered: int
    accepted: int
    duplicates: int
    persons: int
    partial: int
    refused: Mapping[str, Refusals]
    snapshot: str
    definition: str
    columns: tuple[str, ...]

    @property
    def refused_rows(self) -> int:
        """Rows refused for any reason."""
        return sum(refusals.count for refusals in self.refused.values())

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object of strings, integers, lists and objects."""
        return {
            "kind": self.kind,
            "read": self.read,
            "filtered": self.filtered,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "persons": self.persons,
            "partial": self.partial,
            "refused": {
                code: {"count": refusals.count, "rows": list(refusals.rows)}
                for code, refusals in sorted(self.refused.items())
            },
            "snapshot": self.snapshot,
            "definition": self.definition,
            "columns": list(self.columns),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> QualityReport:
        """The report that ``to_json`` wrote."""
        refused = {
            code: Refusals(item["count"], list(item["rows"])) for code, item in value["refused"].items()
        }
        return cls(**{**value, "refused": refused, "columns": tuple(value["columns"])})

    def table(self, language: str = "en") -> list[tuple[str, str]]:
        """The report as (label, text) lines to print in two columns, in English or zh-CN."""
        lines = [("label_kind", self.kind)]
        counts = ("read", "filtered", "accepted", "duplicates", "persons", "partial")
        lines += [(f"label_{name}", f"{getattr(self, name):,}") for name in counts]
        lines += [
            ("label_refused", f"{self.refused_rows:,}"),
            ("label_columns", ", ".join(self.columns)),
            ("label_snapshot", self.snapshot),
            ("label_definition", self.definition),
        ]
        table = [(reason_text(label, language), text) for label, text in lines]
        return table + [self._refusal_line(code, language) for code in sorted(self.refused)]

    def _refusal_line(self, code: str, language: str) -> tuple[str, str]:
        refusals = self.refused[code]
        where = f" ({reason_text('label_rows', language)}: {_numbers(refusals)})" if refusals.rows else ""
        return code, f"{refusals.count:,} — {reason_text(code, language)}{where}"


class Fingerprint:
    """Fingerprint of a multiset of rows: SHA-256 over the count and Σ SHA-256(row) mod 2^256.

    It tells two readings of a database apart; it is no defence against someone who forges rows to collide.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._count = 0

    def add(self, values: Sequence[object] | None) -> None:
        """Count one row of raw values."""
        data = repr(values if values is None else tuple(values)).encode("utf-8", "surrogatepass")
        self._sum += int.from_bytes(hashlib.sha256(data).digest(), "big")
        self._count += 1

    def text(self) -> str:
        """``rows:`` and 64 hex digits."""
        total = (self._sum % (1 << 256)).to_bytes(32, "big")
        return "rows:" + hashlib.sha256(self._count.to_bytes(8, "big") + total).hexdigest()


def _numbers(refusals: Refusals) -> str:
    return ", ".join(map(str, refusals.rows)) + (" …" if refusals.count > len(refusals.rows) else "")


class Reason(NamedTuple):
    """The text of one code in both languages."""

    en: str
    zh: str


REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        # identifiers
        "identifier": Reason(
            "the identifier is not valid: correct it at the source", "证件号码无效，请在源头更正"
        ),
        "identifier_empty": Reason(
            "the identifier is empty: fill it in at the source", "证件号码为空，请在源头补全"
        ),
        "identifier_length": Reason(
            "the identifier has neither 15 nor 18 characters: correct it at the source",
            "证件号码位数不符，请在源头更正",
        ),
        "identifier_characters": Reason(
            "the identifier holds characters that no identifier has: correct it at the source",
            "证件号码含非法字符，请在源头更正",
        ),
        "identifier_masked": Reason(
            "the identifier is masked with stars: export it in full", "证件号码已脱敏，请导出完整号码"
        ),
        "identifier_date": Reason(
            "the birth date inside the identifier does not exist: correct it at the source",
            "证件号码中的出生日期不存在，请在源头更正",
        ),
        "identifier_check": Reason(
            "the check character of the identifier is wrong: correct it at the source",
            "证件号码校验码错误，请在源头更正",
        ),
        "identifier_scientific": Reason(
            "a spreadsheet wrote the identifier in scientific notation: store the column as text and export",
            "证件号码被表格软件写成科学计数法并丢失位数，请将该列设为文本后重新导出",
        ),
        "identifier_digits_lost": Reason(
            "a spreadsheet stored the identifier as a number and lost digits: store the column as text",
            "证件号码被表格软件存为数字并丢失位数，请将该列设为文本后重新导出",
        ),
        # amounts
        "amount": Reason("the amount is not valid: correct it at the source", "金额无效，请在源头更正"),
        "amount_empty": Reason(
            "the amount is empty, which is not zero: fill it in or filter the row out",
            "金额为空（空不等于零），请补全或用筛选条件排除",
        ),
        "amount_format": Reason(
            "the amount is not a plain number: correct it at the source", "金额不是普通数字，请在源头更正"
        ),
        "amount_scientific": Reason(
            "the amount is in scientific notation and may have lost digits: export plain numbers",
            "金额为科学计数法，可能已丢失位数，请导出普通数字",
        ),
        "amount_unit": Reason(
            "the amount names another unit than the dataset's: correct the unit or the column",
            "金额自带的单位与数据集声明的单位不一致，请更正单位或该列",
        ),
        "amount_fraction": Reason(
            "the amount has a fraction of a fen: round it at the source by the source's own rule",
            "金额小于一分的部分不为零，请由源头按其规则取整",
        ),
        "amount_range": Reason(
            "the amount is over 10^12 fen: check the unit", "金额绝对值超过 10^12 分，请检查单位"
        ),
        "total_range": Reason(
            "the rows of one person add up to over 10^12 fen: check the unit and duplicates",
            "同一人各行合计绝对值超过 10^12 分，请检查单位和重复行",
        ),
        # rows
        "row_shape": Reason(
            "the row has another number of cells than the header: quote values that hold the delimiter",
            "该行单元格数与表头不符，含分隔符的值须加引号",
        ),
        "row_key_empty": Reason(
            "the row key is empty, so repeats cannot be told: fill it in or choose another key",
            "行键为空，无法识别重复，请补全或另选行键",
        ),
        "row_key_conflict": Reason(
            "an earlier row has the same key but another person or amount: correct the source or the key",
            "此前已有同一行键但人员或金额不同的行，请更正源数据或行键",
        ),
        # sources and datasets
        "adapter_error": Reason("the department's data cannot be used", "部门数据无法使用"),
        "source_error": Reason("the source cannot be used", "数据源无法使用"),
        "source_uri": Reason("the source URI is malformed", "数据源地址格式错误"),
        "source_missing": Reason("the source does not exist or cannot be reached", "数据源不存在或无法连接"),
        "source_read": Reason("the source cannot be read to its end", "数据源无法完整读取"),
        "source_changed": Reason("the source changed while it was read", "数据源在读取过程中被改动"),
        "column": Reason("a named column is missing or stands twice", "指定的列不存在或重复"),
        "condition": Reason("the filter condition is wrong", "筛选条件有误"),
        "dataset": Reason("the dataset is declared wrongly", "数据集声明有误"),
        "work": Reason("the work folder cannot be used", "工作目录无法使用"),
        # labels of a report
        "label_kind": Reason("kind", "类型"),
        "label_read": Reason("rows read", "读取行数"),
        "label_filtered": Reason("left out by the filter", "筛选排除行数"),
        "label_accepted": Reason("rows accepted", "接受行数"),
        "label_duplicates": Reason("repeated rows among them", "其中重复行数"),
        "label_refused": Reason("rows refused", "拒绝行数"),
        "label_persons": Reason("persons to publish", "拟发布人数"),
        "label_partial": Reason("persons with a refused row", "存在被拒绝行的人数"),
        "label_snapshot": Reason("snapshot", "快照"),
        "label_rows": Reason("first rows", "首批行号"),
        "label_columns": Reason("columns", "列"),
        "label_definition": Reason("definition digest", "定义摘要"),
    }
)


def reason_text(code: str, language: str = "en") -> str:
    """Text of ``code`` in ``language`` ("en" or "zh-CN"; any other language falls back to English).

    Raises:
        KeyError: the code is not in the catalogue, which is a fault of the program.
    """
    reason = REASONS[code]
    return reason.zh if language.lower().startswith("zh") else reason.en
