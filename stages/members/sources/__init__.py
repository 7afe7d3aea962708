"""Where a zoo's members come from: trained here, or checkpoints of other programs."""
