"""Membership: founding and joining a network, homes, and the sum key ceremony."""
