"""Public formats of the log: notes, checkpoints, tiles, receipts, policies and time-stamps."""
