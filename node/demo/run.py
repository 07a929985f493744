"""Demonstration on one machine: from a scenario folder to verified reports, each member in its own process.

    generate or read the scenario → homes, keys, genesis → ceremony → nodes → publications → verification
    → rules → consents → grants → cases → reports, all verified again offline → table, summary.json

``prepare`` reads or generates the scenario, chooses the ledger's engines and creates the folder of the
results, which must be new: an earlier run is never changed. ``Demo.run`` does the rest through the calls that
an operator would use. Ctrl-C and failures end every process that was started.
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
from node.demo.scenario.load import Scenario, ScenarioMember, load
from node.edges.operator_client import OperatorClient
from node.errors import ConfigurationError, ReportError
from node.governance.entry_drafts import EntryDraft
from node.governance.grants import REVEALED, Decision, GrantDecision, GrantRequest
from node.home import Home, write_file
from node.membership import sum_key_ceremony
from node.membership.home_setup import init_home
from node.membership.network import join, propose, read_card, seal, sign_proposal
from node.messages.progress import Reporter
from node.messages.words import word_text
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
    """Result of one case: its line of the final table and of ``summary.json``."""

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
        out: folder of the results.
        scenario: the scenario to run.
        reporter: prints progress.
        slot_factor: number of slots in a grant for each slot that its cases need.
        ledger: engine URIs, assigned to the members in turn.
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
        """Run the scenario; returns one row per case, whose reports have been verified.

        Raises:
            NodeError, LedgerError, ProtocolError, AdapterError, KeysError: the cause that ended the run; all
                processes have been ended.
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
        """Run a network for the block: founded, with publications, rules, consents and grants."""
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
        """Create homes, keys, the genesis entry and the invitation."""
        scenario = self.scenario
        self.reporter.stage("Creating the keys of {count} members", count=len(scenario.members))
        ports = free_ports(len(scenario.members))
        keys = {}
        uris = cycle(self.ledger)
        for member, port, uri in zip(scenario.members, ports, uris, strict=False):
            listen = f"127.0.0.1:{port}"
            init_home(self.home(member.id), member.id, member.name, member.roles, listen, ledger=uri)
        self.reporter.stage("Signing the first entry of the network")
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
        """Hold the dealer ceremony, while the nodes start."""
        scenario = self.scenario
        suite = scenario.suite or PAILLIER_3072.name
        self.reporter.stage("Making the shared sum key ({suite})", suite=suite)
        office = read_card(Home(self.home(scenario.with_role("office")[0].id)).card)
        trustees = [read_card(Home(self.home(member.id)).card) for member in scenario.with_role("trustee")]
        return sum_key_ceremony.run(scenario.network, suite, office, trustees)

    def _start(self, processes: NodeProcesses) -> None:
        """Start every node in its own process, and wait until each has replayed the genesis entry."""
        self.reporter.stage("Starting {count} nodes", count=len(self.scenario.members))
        for member in self.scenario.members:
            processes.start(self.home(member.id))
        for member in self.scenario.members:
            processes.wait_ready(self.clients[member.id], READY_SECONDS)

    def _close(self) -> None:
        for client in self.clients.values():
            client.close()

    def _install(self, dealt: dict[str, Any]) -> None:
        """Install the shares with their holders, let the trustees sign, and record the key on the ledger."""
        for holder in dealt["shares"]:
            sum_key_ceremony.install(dealt, holder, self.clients[holder].keys.vault)
        draft = EntryDraft("sumkey.publish", dealt["record"]["salt"][:32], dealt["body"])
        signatures = [self.clients[trustee].sign_as_member(draft) for trustee in dealt["body"]["trustees"]]
        self.clients[dealt["body"]["office"]].submit(draft, signatures)

    def _publish(self) -> None:
        """Publish the datasets of every department, several departments at a time."""

        def publish(member: ScenarioMember) -> None:
            for dataset in member.datasets:
                self.reporter.stage("Publishing {dataset}", dataset=dataset.id)
                result = self.clients[member.id].publish(
                    dataset, self.scenario.folder, self.scenario.epoch, self.reporter.progress
                )
                refused = sum(item["count"] for item in result["quality"]["refused"].values())
                self.reporter.stage(
                    "Published {dataset}: {count} rows with padding, {refused} source rows refused",
                    dataset=dataset.id,
                    count=result["count"],
                    refused=refused,
                )

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(publish, [member for member in self.scenario.members if member.datasets]))

    def _verify_publications(self) -> None:
        """Let offices and auditors download and verify every publication."""
        members = [*self.scenario.with_role("office"), *self.scenario.with_role("auditor")]

        def verify(member: ScenarioMember) -> None:
            self.reporter.stage("{member} fetches and verifies the publications", member=member.name)
            self.clients[member.id].verify(self.reporter.progress)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(verify, members))

    def _rules(self) -> None:
        """Let the office publish each rule set, and auditor and owners of amount datasets approve it."""
        members = {member.id: member for member in self.scenario.members}
        auditors = [member.id for member in self.scenario.with_role("auditor")]
        for rules in self.scenario.rules.values():
            self.reporter.stage("Publishing and approving the rules {rules}", rules=rules.key)
            self.clients[self._office].rules(rules.source, "publish")
            owners = {dataset.partition(".")[0] for dataset in rules.amounts}
            approvers = sorted({owner for owner in owners if owner in members} | {auditors[0]})
            approve = partial(self._approve, rules)
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(approve, approvers))

    def _approve(self, rules: RuleSet, member: str) -> None:
        """Let one approver compare a rule set with the ledger and approve it."""
        self.clients[member].rules(rules.source, "approve")

    @property
    def _office(self) -> str:
        return self.scenario.with_role("office")[0].id

    def _consents(self) -> None:
        """Load the consents of the applications at the registrar."""
        desk = self.scenario.with_role("registrar")[0].id
        result = self.clients[desk].load_consents(self.scenario.folder / "cases")
        self.reporter.stage("Recording consents: {count}", count=result["committed"])

    def _grants(self) -> None:
        """Request a grant for each rule set and owner, ``slot_factor`` times the slots its cases need."""
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
        self.reporter.stage("Requesting and approving grants: {count}", count=len(wanted))

        def request(asked: GrantRequest) -> None:
            grant = self.clients[self._office].request_grant(asked)
            self.clients[asked.owner].decide_grant(GrantDecision(grant, Decision.APPROVE))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(request, wanted))

    def check(self, case: Case, number: int) -> SummaryRow:
        """Run one check, from the application to its report."""
        self.reporter.stage(
            "Case {case} ({number} of {count})", case=case.case, number=number, count=len(self.scenario.cases)
        )
        began = time.perf_counter()
        application = self._application(case)
        result = self.clients[self._office].check(application, self.out / "reports", self.reporter.progress)
        ms = round((time.perf_counter() - began) * 1000)
        self.reporter.stage(
            "Case {case}: {outcome}, {ms} ms", case=case.case, outcome=self._outcome(result["outcome"]), ms=ms
        )
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

    def _outcome(self, code: str) -> str:
        """An outcome in the user's language."""
        text = word_text("outcome", code)
        return code if text is None else self.reporter.messages.translate(text)

    def _application(self, case: Case) -> bytes:
        """Contents of a case's file in the scenario."""
        for path in sorted((self.scenario.folder / "cases").glob("*.json")):
            data = path.read_bytes()
            if json.loads(data.decode("utf-8-sig")).get("case") == case.case:
                return data
        raise ConfigurationError(f"the scenario has no file of case {case.case}")

    def _verify_everything(self, rows: list[SummaryRow]) -> None:
        """Verify every report and the public log offline, as an outsider would.

        Raises:
            ReportError: a report does not verify.
            LedgerError: the log does not verify.
        """
        self.reporter.stage("Verifying {count} reports and the public log offline", count=len(rows))
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
    """Number of slots that a case uses of each grant."""
    return math.ceil(padded_elements(len(case.household)) / ELEMENTS_A_SLOT)


def _grant(owner: str, datasets: list[str], rules: RuleSet, protocol: str, slots: int) -> GrantRequest:
    """Options of the grant that an office requests from an owner for one rule set."""
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
    """Engine URIs for the members of a demo: the embedded log, or the Fabric profiles of a folder.

    Args:
        uri: ``embedded:`` or ``fabric:FOLDER``, a folder with a connection profile (``*.toml``) for each
            organisation.

    Raises:
        ConfigurationError: the URI has another scheme, or the folder has no profiles.
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
    """Prepare a demo: generate or read the scenario, and create the folder of the results.

    Args:
        folder: scenario to read; None to generate one in ``out/scenario``.
        out: folder of the results; absent or empty.
        residents, cases, seed: of a generated scenario.
        suite: suite for totals; by default that of the scenario.
        reporter: prints progress.
        ledger: engine URI, see ``engines``.

    Raises:
        ConfigurationError: ``out`` is not empty, the scenario is malformed, or the engine URI is not valid.
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
        reporter.stage(
            "Generating a scenario: {residents} residents, {cases} cases", residents=residents, cases=cases
        )
        folder = generate(out / "scenario", residents=residents, cases=cases, seed=seed, suite=suite)
    else:
        reporter.stage("Reading the scenario {folder}", folder=str(folder))
    scenario = load(folder)
    if suite is not None:
        scenario = replace(scenario, suite=suite)
    return Demo(out.resolve(), scenario, reporter, ledger=uris)
