"""Training of the flow: data, batches, optimizer, output loss, monitor, checkpoints."""
