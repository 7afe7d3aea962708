"""Canonical form of networks: alignment to a reference, and checks that outputs are preserved."""
