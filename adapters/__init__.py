"""A department's data: sources, mapping, normalisation and quality checks.

``dataset.read_dataset`` is the way in: a source URI and a mapping become an ordered stream of (identifier,
fen) and a report of everything that was refused. Nothing here does cryptography or speaks to the network of
members.
"""
