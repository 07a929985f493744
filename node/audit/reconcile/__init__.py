"""Reconciliation of three sides: each node's journal, the ledger, the office's case files.

    difference       what a difference is, and the collector of all of them
    ledger_side      what the public log says, by question
    journal          what one member's own store says, in one form whether it is read here or was exported
    journal_file     the exported form: canonical JSON lines, signed by the member's node
    casefile         the office's reports and openings
    answers          departments: answers and refusals, line by line
    incidents        departments: refusals without a valid intent, counted
    questions        office and registrar: questions asked, certified, reported, closed
    releases         trustees
    slots            slots taken against slots used
    compare          all of them in order; ``hedui ledger reconcile`` prints what it finds

Nothing here decides who is right. Each difference says what every side says, and the code says which rule of
the network it touches.
"""
