"""The six stages as plain functions: zoo, canonicalize, pack, fit, sample, evaluate."""
