"""What is measured about generated networks, beside members, held-out members and trivial baselines."""
