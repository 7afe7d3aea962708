"""Sweeps: many configurations through one dag, sharing what can be shared."""
