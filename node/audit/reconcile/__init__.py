"""Reconciliation of three sides: each node's journal, the ledger, and the office's case files.

    difference       a difference, and the collector of all of them
    sides            the three sides together, and what is too recent to be judged
    ledger_side      what the public log says, by question
    journal          what one member's own store says, in one form whether it is read here or was exported
    journal_file     the exported form: canonical JSON lines, signed by the member's node
    case_files       the office's reports and openings
    departments      departments: answers, refusals, incidents, and slots taken against slots used
    questions        office and registrar: questions, certificates, reports, closes; trustees: releases
    compare          all comparisons in order; ``hedui ledger reconcile`` prints the result

Nothing here decides who is right. Each difference says what every side says, and its code says which rule
of the network it concerns.
"""
