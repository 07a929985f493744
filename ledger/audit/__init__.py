"""The auditor's side of a public log: sources, mirror, offline verification, search and export."""
