"""Upkeep of a home: backup, restore, rejoining, and recovery of a log."""
