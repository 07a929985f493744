"""The household check as sans-IO rounds: certificate, answer, evidence of lines, terms of a total.

Reading order follows the way of a check: ``certificate`` (registrar), ``answer`` (department), ``evidence``
(what the office proves about each line), ``terms`` (what the trustee accepts before it opens a total).
"""
