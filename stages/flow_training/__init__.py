"""Training of the flow: data, batches, optimizer, output loss, monitoring, checkpoints."""
