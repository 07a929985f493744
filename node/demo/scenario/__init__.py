"""A scenario folder: network, rule sets, cases and each member's raw files.

``model`` names its parts, ``load`` reads and validates one, ``generate`` writes a synthetic county.
The demo, the end-to-end tests and a pilot all start from such a folder.
"""
