"""The household check as sans-IO rounds, and every document that crosses between its sides.

Reading order follows the way of a check: ``certificate`` with ``certify`` and ``openings`` (registrar),
``answer`` (department), ``evidence`` (what the office proves about each line), ``terms`` (what the trustee
accepts before it opens a total) and ``partial_opening`` (its share). ``json_form`` reads and writes them.
"""
