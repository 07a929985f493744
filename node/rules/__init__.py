"""Rule sets of a household check: parsing and application.

``ruleset`` parses a rule set; ``verdict`` turns answers and a total into an outcome. Nothing here reads a
file, a clock or the network.
"""
