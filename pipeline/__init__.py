"""Orchestration of the six stages: configuration, keys, the dag, the command line."""
