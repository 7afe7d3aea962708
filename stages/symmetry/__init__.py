"""Permutation symmetry as data, and the algorithms that read it; no files, no architectures."""
