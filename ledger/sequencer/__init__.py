"""The embedded log: ordering, witness rounds, final checkpoints and the public folder."""
