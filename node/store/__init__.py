"""The node's own store: its tables, their migrations, and small typed access by area."""
