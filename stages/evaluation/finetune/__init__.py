"""Fine-tuning on the zoo's own data and transfer to other data: scores along further training."""
