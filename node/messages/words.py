"""The text for each code: of a report, of a network, and of an error.

A code that a region's own rules add has no text here and is shown as it is.

Each error code has a sentence, which a user whose language is not English reads before the English detail.
Errors carry their details in English wherever they are raised, also in packages that know nothing of
languages. Their codes are stable, and cross the wire; so the code is what is translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from adapters.report import REASONS
from node.messages.catalogue import Messages, mark

WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "outcome": {
            "dibao": mark("minimum living allowance: within the standard"),
            "edge": mark("marginal low income: below 1.5 times the standard"),
            "none": mark("above the limits of these rules"),
            "vetoed": mark("excluded by a veto item of the rules"),
            "incomplete": mark("incomplete: no verdict, review by a person"),
            "no_consent": mark("not checked: a member has not consented"),
        },
        "answer": {
            "match": mark("match"),
            "no_match": mark("no match"),
            "not_covered": mark("not covered"),
            "summed": mark("added to the total"),
        },
        "reason": {
            "no_consent": mark("Member {member} has not consented: obtain consent, then ask again."),
            "invalid_identifier": mark(
                "The identifier of member {member} is not valid: correct it in the application."
            ),
            "not_covered": mark(
                "{dataset} does not cover member {member}: ask again later, or have a person review the case."
            ),
            "no_counted_member": mark(
                "No member of the household is counted: have a person review the case."
            ),
            "excluded": mark("Member {member} is not counted ({dataset})."),
            "veto": mark("Member {member} has a record in {dataset}."),
            "at_most": mark("Net income per head and month is at most {limit} times the standard."),
            "below": mark("Net income per head and month is below {limit} times the standard."),
            "otherwise": mark("Net income per head and month is above every limit of the rules."),
            "duplicate_person": mark("A person is named twice: correct the application."),
            "already_asked": mark(
                "A member of the household was in another question for a total this month: two people of the "
                "registrar decide."
            ),
        },
        "gap": {
            "unpublished": mark("No department publishes this dataset."),
            "no_grant": mark("The office has no grant for it."),
            "silent": mark("The department did not answer in time."),
            "too_old": mark("The data are older than the rules allow."),
            "region": mark("The person lives outside the region that the data cover."),
        },
        "consent": {
            "signed": mark("signed electronically"),
            "paper": mark("on paper"),
            "guardian": mark("by a guardian"),
            "none": mark("not given"),
        },
        "relation": {
            "self": mark("applicant"),
            "spouse": mark("spouse"),
            "child": mark("child"),
            "parent": mark("parent"),
        },
        "list": {
            "income": mark("income"),
            "deduct": mark("deduction"),
            "veto": mark("veto item"),
            "exclude": mark("reason not to count a member"),
        },
        "role": {
            "auditor": mark("auditor"),
            "sequencer": mark("sequencer"),
            "trustee": mark("trustee"),
            "registrar": mark("registrar"),
            "office": mark("verification office"),
            "department": mark("department"),
        },
    }
)
"""Text by kind and code."""
ERROR_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # application
        "node_error": mark("The operation could not be completed."),
        "usage": mark("The command cannot be understood as given; see --help."),
        "configuration": mark("The configuration or a given file is not as it should be."),
        "unavailable": mark("The other side cannot be reached now; try again later."),
        "report": mark("The report cannot be used or does not verify."),
        "report_part": mark("A part of the report is malformed."),
        "journal": mark("The member's journal cannot be used or does not verify."),
        "store": mark("The node's database or files cannot be used."),
        "backup": mark("The file is not a complete backup."),
        "message": mark("A text of this program was used wrongly."),
        "internal": mark("An unexpected fault occurred."),
        "file": mark("A file cannot be read or written."),
        "lines": mark("The lines of the report do not fit the rules and the household."),
        "group_library": mark("The library for the group's arithmetic cannot be loaded."),
        "invalid_key": mark("Fabric does not accept the key."),
        "peer": mark("The Fabric peer ended the transaction."),
        "scenario": mark("A given file is not well formed."),
        "restored": mark(
            "The department was restored from a backup and may have answered this question before."
        ),
        # keys
        "keys_error": mark("The keys cannot be used."),
        "unknown_algorithm": mark("The algorithm is not known."),
        "malformed_key": mark("The key is malformed."),
        "bad_signature": mark("A signature does not verify."),
        "cannot_open": mark("The sealed message cannot be opened."),
        "head_damaged": mark("The header of the sealed file is damaged."),
        "sealed_file_damaged": mark("The sealed file is damaged or incomplete."),
        "vault": mark("The secrets on this machine cannot be used."),
        "wrong_passphrase": mark("The passphrase is wrong."),
        "vault_damaged": mark("The stored secrets are damaged."),
        "secret_missing": mark("The secret does not exist."),
        "secret_exists": mark("A secret of this name exists already."),
        "bad_secret_name": mark("The name of the secret is not allowed."),
        "certificate": mark("The certificate does not hold."),
        "certificate_malformed": mark("The TLS certificate is malformed."),
        "certificate_expired": mark("The certificate has expired."),
        "wrong_issuer": mark("The TLS certificate was not issued by the member's authority."),
        "wrong_name": mark("The names in the TLS certificate are not the member's."),
        # protocols
        "protocol_error": mark("A step of the cryptographic protocol failed."),
        "encoding": mark("The data do not have the fixed layout."),
        "group": mark("A value is not a valid element of the group."),
        "proof": mark("A proof does not verify."),
        "publication": mark("The publication cannot be used."),
        "evidence": mark("The evidence does not prove what it should."),
        "term_list": mark("The list of terms is not the one that the certificate and the rules allow."),
        "ciphertext": mark("A ciphertext is not valid."),
        "sum_key": mark("The sum key or one of its shares is malformed."),
        "total_range": mark("The opened total is out of range."),
        # ledger
        "ledger_error": mark("The ledger's data cannot be used."),
        "canonical": mark("The data are not canonical JSON."),
        "merkle": mark("A Merkle proof does not verify."),
        "note": mark("A signed note is malformed or false."),
        "checkpoint": mark("The checkpoint is malformed or belongs to another log."),
        "policy": mark("The trust policy is malformed."),
        "quorum": mark("Too few witnesses cosigned."),
        "receipt": mark("The receipt does not prove its entry."),
        "tile": mark("A file of the public log is malformed."),
        "missing": mark("A file of the public log is missing."),
        "witness": mark("A witness's answer breaks the protocol."),
        "entry": mark("The entry is malformed."),
        "refused": mark("The ledger's contract refuses the entry."),
        "timestamp": mark("The time-stamp does not hold."),
        "verification": mark("A check of the public log fails."),
        "http": mark("An HTTP exchange failed."),
        "http_answer": mark("The HTTP server's answer cannot be used."),
        "http_unreachable": mark("The HTTP server cannot be reached."),
        "http_url": mark("The URL cannot be used."),
        "profile": mark("The Fabric connection profile cannot be used."),
        "log": mark("The log cannot continue."),
        "fork": mark("There are two histories of the log."),
        "rollback": mark("The source offers an older checkpoint than one seen before."),
        "no_mirror": mark("The folder holds something other than a mirror."),
        "quarantined": mark("The log is in quarantine until it is recovered from a mirror."),
        "raced": mark("Another transaction came first; try again."),
        "outcome_unknown": mark("It is not known yet whether the transaction was recorded."),
        "damaged": mark("A file of the public log is damaged."),
        # refusals of the contract
        "already_answered": mark("The question is answered already."),
        "already_approved": mark("The rules are approved already."),
        "already_closed": mark("The question is closed already."),
        "already_recorded": mark("This is recorded already."),
        "already_refused": mark("A refusal is recorded already."),
        "already_released": mark("The case was released already."),
        "already_verified": mark("The publication is verified already."),
        "arguments": mark("The call does not have the right arguments."),
        "bad_field": mark("A field of the entry has a wrong value."),
        "case_count": mark("There are more cases than elements."),
        "case_range": mark("The question has fewer cases."),
        "certificate_digest": mark("The digest is not the certificate's."),
        "certificate_early": mark("The certificate is not valid yet."),
        "certificate_network": mark("The certificate is for another network."),
        "certificate_office": mark("The certificate is for another office."),
        "certificate_query": mark("The certificate is for another question."),
        "certificate_revoked": mark("The certificate was revoked."),
        "clock": mark("A clock differs by too much."),
        "consent_exists": mark("The consent is recorded already."),
        "consent_revoked": mark("The consent was revoked already."),
        "consent_unknown": mark("The consent was never recorded."),
        "dataset_not_asked": mark("The question does not ask this dataset."),
        "dataset_not_in_rules": mark("The rules do not name this dataset."),
        "datasets_order": mark("The datasets are not in order, each once."),
        "definition_changed": mark("The dataset is defined differently from when the grant was given."),
        "duplicate_signer": mark("A signer signed twice."),
        "elements_not_padded": mark("The number of elements is not padded as required."),
        "exception_exists": mark("There is an exception for this case already."),
        "genesis_exists": mark("The network has its first entry already."),
        "genesis_id": mark("The id of the first entry is wrong."),
        "grant_dataset": mark("The grant does not list the dataset."),
        "grant_dates": mark("The grant does not cover this date."),
        "grant_decided": mark("The grant is decided already."),
        "grant_exists": mark("A grant with this id exists already."),
        "grant_not_approved": mark("The grant is not approved."),
        "grant_owner": mark("The grant names the wrong owner."),
        "grant_protocol": mark("The grant is for another protocol."),
        "grant_purpose": mark("The grant is for another purpose."),
        "grant_requester": mark("The grant belongs to another office."),
        "grant_reveal": mark("The grant allows another kind of result."),
        "grant_revoked": mark("The grant was revoked."),
        "grant_unknown": mark("The grant is not on the ledger."),
        "id_used": mark("The id is used already."),
        "identifier_shaped": mark("A field looks like an identity number."),
        "key_name_taken": mark("The name of the key is taken."),
        "key_reused": mark("The key was used before."),
        "key_taken": mark("The key is or was used elsewhere."),
        "kind_changed": mark("The kind of the dataset cannot change."),
        "last_founder": mark("The last founder cannot be removed."),
        "member_exists": mark("The member is named twice."),
        "member_keys": mark("The member's keys are not those required."),
        "member_unknown": mark("The member does not belong to the network."),
        "missing_field": mark("A field of the entry is missing."),
        "missing_signer": mark("A signature is missing."),
        "no_genesis": mark("The log does not begin with the network's first entry."),
        "not_a_node_key": mark("The first signature is not by a node's key."),
        "not_answered": mark("Not every dataset of the question is answered."),
        "not_approver": mark("This member may not approve the rules."),
        "not_direct": mark("The chaincode was not called directly."),
        "not_owner": mark("The dataset belongs to another member."),
        "not_the_member": mark("Only the member itself may do this."),
        "not_the_office": mark("The question belongs to another office."),
        "owner_gone": mark("The owner of the dataset has left the network."),
        "protocol_not_sum": mark("The question is not one for a total."),
        "publication_exists": mark("The publication exists already."),
        "publication_key": mark("The key is not that of the publication."),
        "publication_not_current": mark("The publication is not the current one."),
        "publication_retired": mark("The publication is retired."),
        "publication_unknown": mark("The publication is not on the ledger."),
        "query_unknown": mark("The question's intent is not on the ledger."),
        "recorded": mark("The entry is recorded already."),
        "registrar_key": mark("The certificate is not signed by the registrar's active key."),
        "registrar_role": mark("The signer of the certificate is not the registrar now."),
        "role_conflict": mark("One member may not have both roles."),
        "role_missing": mark("The member does not have the role that this needs."),
        "root_differs": mark("The root is not the published one."),
        "rows_not_padded": mark("The number of rows is not padded as required."),
        "rules_digest": mark("The text of the rules is not the recorded one."),
        "rules_exist": mark("This version of the rules exists already."),
        "rules_not_approved": mark("The rules are not approved."),
        "rules_overlap": mark("The rules name a dataset twice."),
        "rules_unknown": mark("The rules are not on the ledger."),
        "second_registrar": mark("The network has a registrar already."),
        "second_sequencer": mark("The network has a sequencer already."),
        "slot_count": mark("The number of slots taken is wrong."),
        "slot_grant": mark("A slot belongs to another grant."),
        "slot_period": mark("A slot belongs to another period."),
        "slot_range": mark("The grant has fewer slots."),
        "slot_taken": mark("The slot is taken."),
        "slot_twice": mark("A slot is named twice."),
        "suite_mismatch": mark("The suite is not the network's."),
        "sumkey_exists": mark("The network has its sum key already."),
        "sumkey_holders": mark("The holders of the sum key are wrong."),
        "sumkey_missing": mark("The network has no sum key yet."),
        "sumkey_modulus": mark("The modulus of the sum key is wrong."),
        "sumkey_threshold": mark("The threshold of the sum key is wrong."),
        "surplus_signer": mark("There is a signature too many."),
        "time_ahead": mark("The time of the entry lies in the future."),
        "too_few_members": mark("The network has too few members."),
        "trace_count": mark("The number of tags is wrong."),
        "trace_order": mark("The tags are not sorted."),
        "unknown_field": mark("The entry has an unknown field."),
        "unknown_function": mark("The function does not exist."),
        "unknown_signer": mark("The signer is not known to the ledger."),
        "unknown_type": mark("The type of the entry is not known."),
        "version_not_higher": mark("The version is not higher than the present one."),
        "wrong_network": mark("The entry belongs to another network."),
        # refusals of a role
        "already_asked": mark("A person was in another question for a total this month."),
        "budget": mark("The grant has no free slot left in this period."),
        "case": mark("The question has no such case."),
        "duplicate_person": mark("A person is named twice in the application."),
        "expired": mark("The certificate has expired."),
        "grant": mark("The grant is not active."),
        "household_incomplete": mark("A member of the household is left out."),
        "in_use": mark("The publication is still in use."),
        "invalid_identifier": mark("An identifier in the application is not valid."),
        "lost": mark("The key was lost when the home was restored."),
        "malformed": mark("A message or document is malformed."),
        "min_terms": mark("The total has too few rows to be opened."),
        "no_consent": mark("A member of the household has not consented."),
        "no_result": mark("The node ended the job without a result."),
        "not_an_office": mark("Only a verification office may do this."),
        "not_an_operator": mark("Only this member's own operators may do this."),
        "not_named": mark("The intent does not name this dataset or publication."),
        "not_on_ledger": mark("The entry is not on the ledger yet."),
        "not_the_sequencer": mark("Only the member that runs the log may do this."),
        "not_yet_valid": mark("The certificate is not valid yet."),
        "openings": mark("The registrar certified other persons than this household."),
        "protocol": mark("The question is for another protocol."),
        "query_id": mark("The id of the question is malformed."),
        "query_reused": mark("The id of the question was used before."),
        "reason_used": mark("The reason has served a question already."),
        "retired": mark("The key of the publication was destroyed."),
        "revoked": mark("The certificate was revoked."),
        "role": mark("This node does not have the role that this needs."),
        "row_released": mark("A row may have been opened in another total."),
        "rule_file": mark("The rules file is not well formed."),
        "rules": mark("The rules are not the approved ones."),
        "too_late": mark("The certificate can no longer be renewed."),
        "unknown_case": mark("The registrar has no consent for this case."),
        "unknown_certificate": mark("The certificate is not known here."),
        "unknown_peer": mark("The caller is not a member of this network."),
        "unknown_publication": mark("The department has no such publication."),
        "unpublished": mark("The dataset has no verified publication."),
        "unverified": mark("The publication is not verified."),
        "void_entry": mark("The ledger's contract refuses the entry."),
        "wrong_registrar": mark("The question names another network or registrar."),
    }
)
"""English sentence by code; a department's data has its own codes, see ``adapters.report``."""


def word_text(kind: str, code: str) -> str | None:
    """The English text of a code, to be translated where it is shown; None where there is none.

    Args:
        kind: a key of ``WORDS``.
        code: such as an outcome's.
    """
    return WORDS[kind].get(code)


def sentence_of(code: str, messages: Messages) -> str | None:
    """The sentence for an error's code in the language; None in English, where the detail is enough.

    Args:
        code: stable code of the error; of one that a newer peer added, the general sentence is given.
        messages: texts in the user's language.
    """
    if messages.language == "en":
        return None
    if code not in ERROR_TEXTS and code in REASONS:
        return f"{REASONS[code].zh}。"
    return messages.plain(ERROR_TEXTS.get(code, ERROR_TEXTS["node_error"]))
