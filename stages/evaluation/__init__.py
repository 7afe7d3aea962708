"""Evaluation: metrics of generated networks, members, held-out members and trivial baselines, and the verdict."""
