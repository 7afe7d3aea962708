"""The spaces that a flow lives on: rows of weights, principal codes, unit tokens."""
