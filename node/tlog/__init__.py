"""This node at the transparency log: client, transport, engine, outbox, witness and split-view evidence."""
