"""The evidence report of a household check: built by the office, proved offline by any holder of a policy.

Reading order: ``form`` (what a report is), ``build`` (how the office makes one), ``verify`` (the path of a
verification, check by check), ``html`` (the same for people).
"""
