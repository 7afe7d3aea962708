"""The zoo's members: their sources, training, scores, and shards."""
