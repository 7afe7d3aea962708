"""Whether a canonical form changed nothing, and what it is worth; networks and data at once."""
