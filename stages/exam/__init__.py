"""What evaluate measures: the sets of networks, and what they are measured with."""
