"""The whole main job on one machine: a scenario folder to verified reports, each member in its own process.

    generate or read the scenario → homes, keys, genesis → ceremony → nodes → publications → verification
    → rules → consents → grants → cases → reports, all verified again offline → table, summary.json

Everything goes through the calls an operator would use. Ctrl-C and failures end every process that was
started. A folder that holds an earlier run is left as it is.

What a demo starts from: a scenario read or generated, a new folder for the result, the ledger's engine.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from ledger.audit.mirror import update_mirror
from ledger.audit.source import FolderSource
from ledger.audit.verify import verify_folder
from ledger.entries.times import format_time
from node.case import Case
from node.config import EMBEDDED, FABRIC
from node.demo.processes import NodeProcesses, free_ports, wait_sent
from node.demo.scenario.generate import generate
from node.demo.scenario.load import load
from node.demo.scenario.model import Scenario, ScenarioMember
from node.edges.operator_client import OperatorClient
from node.errors import ConfigurationError, ReportError
from node.governance.entry_drafts import EntryDraft
from node.governance.grants import REVEALED, Decision, GrantDecision, GrantRequest
from node.home import Home, write_file
from node.membership import sum_key_ceremony
from node.membership.home_setup import init_home
from node.membership.network import join, propose, read_card, seal, sign_proposal
from node.messages import Reporter
from node.report.verify import verify_report
from node.rules.ruleset import RuleSet
from node.times import CHINA, system_clock
from protocols.profiles import PAILLIER_3072, padded_elements

ELEMENTS_A_SLOT = 8
GRANT_DAYS = 366
READY_SECONDS = 90.0
SENT_SECONDS = 30.0


@dataclass
class SummaryRow:
    """One case's line of the closing table and of ``summary.json``."""

    case: str
    persons: int
    outcome: str
    net_fen: int | None
    heads: int | None
    lines: list[dict[str, Any]]
    ms: int
    times: dict[str, int] = field(default_factory=dict)
    receipts: int = 0
    valid: bool = False

    def summary(self) -> dict[str, Any]:
        """The line in ``summary.json``."""
        return {
            "case": self.case,
            "outcome": self.outcome,
            "net_fen": self.net_fen,
            "heads": self.heads,
            "lines": self.lines,
            "ms": self.ms,
        }


@dataclass
class Demo:
    """One run of a scenario.

    Attributes:
        out: the result's folder.
        scenario: what is run.
        reporter: shows progress.
        slot_factor: slots of a grant for each one its cases need.
        ledger: engine URIs, given to the members in turn.
        clients: operators' clients by member.
    """

    out: Path
    scenario: Scenario
    reporter: Reporter
    slot_factor: int = 2
    ledger: tuple[str, ...] = (EMBEDDED,)
    clients: dict[str, OperatorClient] = field(default_factory=dict)

    def home(self, member: str) -> Path:
        """A member's home."""
        return self.out / "members" / member

    def run(self) -> list[SummaryRow]:
        """Run everything; returns the cases' rows, their reports verified.

        Raises:
            NodeError and the packages' errors: whatever stops the run; every process started is ended.
        """
        with self.running():
            rows = [self.check(case, number) for number, case in enumerate(self.scenario.cases, 1)]
            for client in self.clients.values():
                wait_sent(client, SENT_SECONDS)
        self._verify_everything(rows)
        summary = [row.summary() for row in rows]
        text = json.dumps(summary, indent=1, ensure_ascii=False)
        write_file(self.out / "summary.json", text.encode() + b"\n")
        return rows

    @contextlib.contextmanager
    def running(self) -> Iterator[NodeProcesses]:
        """The network founded, published, verified and granted, for the time of the block."""
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(1))
            self._found()
            dealing = pool.submit(self._deal)
            processes = stack.enter_context(NodeProcesses())
            stack.callback(self._close)
            self._start(processes)
            self._install(dealing.result())
            self._publish()
            self._verify_publications()
            self._rules()
            self._consents()
            self._grants()
            yield processes

    def _found(self) -> None:
        """Homes, keys, genesis, invitation."""
        scenario = self.scenario
        self.reporter.stage("demo.keys", count=len(scenario.members))
        ports = free_ports(len(scenario.members))
        keys = {}
        uris = cycle(self.ledger)
        for member, port, uri in zip(scenario.members, ports, uris, strict=False):
            listen = f"127.0.0.1:{port}"
            init_home(self.home(member.id), member.id, member.name, member.roles, listen, ledger=uri)
        self.reporter.stage("demo.genesis")
        cards = [read_card(Home(self.home(member.id)).card) for member in scenario.members]
        suite = scenario.suite or PAILLIER_3072.name
        proposal = propose(scenario.network, scenario.epoch, suite, cards, pilot=scenario.pilot)
        for member, card in zip(scenario.members, cards, strict=True):
            client = self.clients[member.id] = OperatorClient(self.home(member.id))
            keys[member.id] = client.keys.node
            sign_proposal(proposal, card, client.keys.node)
        sequencer = scenario.with_role("sequencer")[0].id
        moment = format_time(system_clock())
        leaf, network = seal(proposal, keys[sequencer], moment)
        for member in scenario.members:
            join(Home(self.home(member.id)), network, leaf if member.id == sequencer else None)

    def _deal(self) -> dict[str, Any]:
        """The dealer ceremony, while the nodes start."""
        scenario = self.scenario
        suite = scenario.suite or PAILLIER_3072.name
        self.reporter.stage("demo.ceremony", suite=suite)
        office = read_card(Home(self.home(scenario.with_role("office")[0].id)).card)
        trustees = [read_card(Home(self.home(member.id)).card) for member in scenario.with_role("trustee")]
        return sum_key_ceremony.run(scenario.network, suite, office, trustees)

    def _start(self, processes: NodeProcesses) -> None:
        """Every node as a process of its own; ready means it has replayed the genesis entry."""
        self.reporter.stage("demo.nodes", count=len(self.scenario.members))
        for member in self.scenario.members:
            processes.start(self.home(member.id))
        for member in self.scenario.members:
            processes.wait_ready(self.clients[member.id], READY_SECONDS)

    def _close(self) -> None:
        for client in self.clients.values():
            client.close()

    def _install(self, dealt: dict[str, Any]) -> None:
        """Holders take their shares; trustees sign; the office puts the key on the ledger."""
        for holder in dealt["shares"]:
            sum_key_ceremony.install(dealt, holder, self.clients[holder].keys.vault)
        draft = EntryDraft("sumkey.publish", dealt["record"]["salt"][:32], dealt["body"])
        signatures = [self.clients[trustee].sign_as_member(draft) for trustee in dealt["body"]["trustees"]]
        self.clients[dealt["body"]["office"]].submit(draft, signatures)

    def _publish(self) -> None:
        """Every department publishes its datasets, several departments at a time."""

        def publish(member: ScenarioMember) -> None:
            for dataset in member.datasets:
                self.reporter.stage("demo.publish", dataset=dataset.id)
                result = self.clients[member.id].publish(
                    dataset, self.scenario.folder, self.scenario.epoch, self.reporter.progress
                )
                refused = sum(item["count"] for item in result["quality"]["refused"].values())
                self.reporter.stage(
                    "demo.published", dataset=dataset.id, count=result["count"], refused=refused
                )

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(publish, [member for member in self.scenario.members if member.datasets]))

    def _verify_publications(self) -> None:
        """Offices and auditors rebuild every publication."""
        members = [*self.scenario.with_role("office"), *self.scenario.with_role("auditor")]

        def verify(member: ScenarioMember) -> None:
            self.reporter.stage("demo.verify_by", member=member.name)
            self.clients[member.id].verify(self.reporter.progress)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(verify, members))

    def _rules(self) -> None:
        """The office publishes, the auditor and each owner of an amount dataset approve."""
        members = {member.id: member for member in self.scenario.members}
        auditors = [member.id for member in self.scenario.with_role("auditor")]
        for rules in self.scenario.rules.values():
            self.reporter.stage("demo.rules", rules=rules.key)
            self.clients[self._office].rules(rules.source, "publish")
            owners = {dataset.partition(".")[0] for dataset in rules.amounts}
            approvers = sorted({owner for owner in owners if owner in members} | {auditors[0]})
            approve = partial(self._approve, rules)
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(approve, approvers))

    def _approve(self, rules: RuleSet, member: str) -> None:
        """One approver compares the text with the ledger and approves."""
        self.clients[member].rules(rules.source, "approve")

    @property
    def _office(self) -> str:
        return self.scenario.with_role("office")[0].id

    def _consents(self) -> None:
        """The desk takes the consents of its applications."""
        desk = self.scenario.with_role("registrar")[0].id
        result = self.clients[desk].load_consents(self.scenario.folder / "cases")
        self.reporter.stage("demo.consents", count=result["committed"])

    def _grants(self) -> None:
        """One grant a rule set and owner, twice the slots its cases need; two people of the owner approve."""
        wanted: list[GrantRequest] = []
        published = self.scenario.datasets
        for rules in self.scenario.rules.values():
            cases = [case for case in self.scenario.cases if case.rules == rules.key]
            slots = self.slot_factor * sum(_slots(case) for case in cases)
            owners: dict[str, list[str]] = {}
            for dataset in rules.datasets:
                if dataset in published:
                    owners.setdefault(dataset.partition(".")[0], []).append(dataset)
            protocol = (
                "sum"
                if any(published[name].kind == "amount" for names in owners.values() for name in names)
                else "check"
            )
            for owner, datasets in owners.items():
                if slots:
                    wanted.append(_grant(owner, datasets, rules, protocol, slots))
        self.reporter.stage("demo.grants", count=len(wanted))

        def request(asked: GrantRequest) -> None:
            grant = self.clients[self._office].request_grant(asked)
            self.clients[asked.owner].decide_grant(GrantDecision(grant, Decision.APPROVE))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(request, wanted))

    def check(self, case: Case, number: int) -> SummaryRow:
        """One check, from the application to its report."""
        self.reporter.stage("demo.case", case=case.case, number=number, count=len(self.scenario.cases))
        began = time.perf_counter()
        application = self._application(case)
        result = self.clients[self._office].check(application, self.out / "reports", self.reporter.progress)
        ms = round((time.perf_counter() - began) * 1000)
        self.reporter.stage("demo.case_done", case=case.case, outcome=result["outcome"], ms=ms)
        return SummaryRow(
            case.case,
            len(case.household),
            result["outcome"],
            result["net_fen"],
            result["heads"],
            result["lines"],
            ms,
            result["times"],
        )

    def _application(self, case: Case) -> bytes:
        """The case file as it lies in the scenario."""
        for path in sorted((self.scenario.folder / "cases").glob("*.json")):
            data = path.read_bytes()
            if json.loads(data.decode("utf-8-sig")).get("case") == case.case:
                return data
        raise ConfigurationError(f"the scenario has no file of case {case.case}")

    def _verify_everything(self, rows: list[SummaryRow]) -> None:
        """Every report and the public log, offline, as a stranger would.

        Raises:
            ReportError: a report does not verify.
            LedgerError: the log does not verify.
        """
        self.reporter.stage("demo.verify_reports", count=len(rows))
        sequencer = self.scenario.with_role("sequencer")[0].id
        ledger = self.out / "ledger"
        policy = update_mirror(FolderSource(Home(self.home(sequencer)).public_log), ledger).policy
        for row in rows:
            data = (self.out / "reports" / f"{row.case}.json").read_bytes()
            failures = verify_report(data, policy)
            if failures:
                checks = ", ".join(sorted({failure.check for failure in failures}))
                raise ReportError(f"the report of case {row.case} does not verify: {checks}")
            row.valid, row.receipts = True, len(json.loads(data)["ledger"]["entries"])
        verify_folder(ledger)


def _slots(case: Case) -> int:
    """Slots one case takes of each grant."""
    return math.ceil(padded_elements(len(case.household)) / ELEMENTS_A_SLOT)


def _grant(owner: str, datasets: list[str], rules: RuleSet, protocol: str, slots: int) -> GrantRequest:
    """What an office asks an owner for, for one rule set."""
    today = datetime.now(CHINA).date()
    return GrantRequest(
        owner=owner,
        datasets=tuple(datasets),
        protocol=protocol,
        reveal=REVEALED[protocol],
        purpose=rules.id,
        basis="社会救助暂行办法 第五十八条",
        first=today.isoformat(),
        last=(today + timedelta(days=GRANT_DAYS)).isoformat(),
        period="month",
        slots=slots,
        elements=ELEMENTS_A_SLOT,
        min_terms=0,
    )


def engines(uri: str) -> tuple[str, ...]:
    """Engine URIs of a demo's members: the embedded log, or one Fabric profile an organisation.

    Args:
        uri: ``embedded:`` or ``fabric:FOLDER``; every ``*.toml`` in the folder is a connection profile.

    Raises:
        ConfigurationError: another scheme, or a folder without profiles.
    """
    if uri == EMBEDDED:
        return (EMBEDDED,)
    folder = Path(uri.removeprefix(FABRIC)).resolve()
    profiles = sorted(folder.glob("*.toml"))
    if not uri.startswith(FABRIC) or not profiles:
        raise ConfigurationError(
            f"--ledger is {EMBEDDED} or {FABRIC}FOLDER, a folder with one connection profile (*.toml) an "
            "organisation: see the Fabric guide"
        )
    return tuple(FABRIC + str(profile) for profile in profiles)


def prepare(
    folder: Path | None,
    out: Path,
    residents: int,
    cases: int,
    seed: int,
    suite: str | None,
    reporter: Reporter,
    *,
    ledger: str = EMBEDDED,
) -> Demo:
    """A demo ready to run: the scenario generated or read, the result's folder new.

    Raises:
        ConfigurationError: the result's folder is not empty, the scenario is not well formed, or there is no
        such ledger.
    """
    uris = engines(ledger)
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"{out} is a file: choose a folder with --out")
    if out.exists() and any(out.iterdir()):
        raise ConfigurationError(
            f"{out} holds an earlier run or other files: remove it, or choose another folder with --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    if folder is None:
        reporter.stage("demo.generate", residents=residents, cases=cases)
        folder = generate(out / "scenario", residents=residents, cases=cases, seed=seed, suite=suite)
    else:
        reporter.stage("demo.load", folder=str(folder))
    scenario = load(folder)
    if suite is not None:
        scenario = replace(scenario, suite=suite)
    return Demo(out.resolve(), scenario, reporter, ledger=uris)
