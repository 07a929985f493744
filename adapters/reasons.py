"""The catalogue of reasons: one stable code, one English and one zh-CN text each.

Three kinds of code share the table: why one row is refused, what a whole source or dataset does wrong, and
the labels of a quality report. A text names the remedy and never holds a value of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


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
