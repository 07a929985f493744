"""Validation of documents from outside the program, and the messages about their faults.

Configuration, rule sets, case files, scenarios and requests are subclasses of ``model.StrictModel``: frozen,
strict about types, closed to unknown keys. ``reading`` validates a decoded document with pydantic and adds a
``problems.Problem`` for every fault, each with file, path and remedy; ``decode`` decodes the file before.
"""
