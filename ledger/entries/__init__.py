"""Entries: their format, their bodies and the form of every field."""
