"""Texts for people: the message catalogue, the progress of long work, a sentence for each error code."""
