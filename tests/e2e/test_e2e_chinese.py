"""The commands that act on a running node, in Chinese: what they print has no English sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.shared_network import RunningNetwork, quickly
from tests.node.cli.leftover_english import leftover

pytestmark = pytest.mark.e2e


def said(*arguments: object, status: int = 0) -> str:
    """What a command prints on both streams: Chinese, without an English sentence."""
    done = quickly(*arguments, HEDUI_LANGUAGE="zh_CN.UTF-8")
    text = done.stdout + done.stderr
    assert done.returncode == status, text
    assert any("\u4e00" <= mark <= "\u9fff" for mark in text), text
    assert leftover(text) == [], text
    return text


def test_a_check_from_application_to_report(running_network: RunningNetwork, tmp_path: Path) -> None:
    home, case = running_network.home("bureau").root, running_network.case()
    assert "已重放" in said("node", "status", home)
    application = running_network.scenario.folder / "cases" / f"{case.case}.json"
    text = said("check", home, application, "--out", tmp_path)
    for stage in ("申请证书", "查询登记", "向数据部门查询", "出具报告"):
        assert stage in text
    report, page = tmp_path / f"{case.case}.json", tmp_path / "again.html"
    assert said("report", "verify", report, "--policy", running_network.public / "policy") == "有效\n"
    assert "页面未经验证" in said("report", "html", report, page)


def test_grants_rules_and_publications(running_network: RunningNetwork) -> None:
    bureau, revenue = running_network.home("bureau").root, running_network.home("revenue").root
    options = ("--owner", "revenue", "--dataset", "revenue.cars", "--purpose", "means", "--basis", "法第十条")
    dates = ("--from", "2026-01-01", "--until", "2036-12-31", "--slots", 2)
    asked = quickly("grant", "request", bureau, *options, *dates)
    assert asked.returncode == 0, asked.stderr
    grant = asked.stdout.strip()
    assert said("grant", "decide", revenue, grant) == f"{grant}：已批准，已由两人签署\n"
    assert said("grant", "revoke", revenue, grant, "--reason", "appeal") == f"{grant}：已撤销，已由两人签署\n"
    assert "没有新的本期数据需要验证" in said("dataset", "verify", bureau)
    assert "份授权" in said(
        "consent", "load", running_network.home("window").root, running_network.scenario.folder / "cases"
    )


def test_a_refusal_is_told_in_chinese_first(running_network: RunningNetwork, tmp_path: Path) -> None:
    case = running_network.case()
    application = running_network.scenario.folder / "cases" / f"{case.case}.json"
    done = quickly(
        "check", running_network.home("revenue").root, application, "--out", tmp_path, HEDUI_LANGUAGE="zh"
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("hedui: 本节点没有所需的角色。（"), last
    assert last.endswith(" [role]")
    assert json.dumps(case.household[0].id) not in done.stderr
