"""Garbage collection: what of a store nothing reaches any more, and its removal."""
