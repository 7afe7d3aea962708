"""Velocity networks, one module per kind."""
