"""The demo: a whole scenario on one machine."""
