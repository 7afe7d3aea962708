"""Networks by name, each with its symmetry table beside it, and the stacked evaluation that all of them share."""
