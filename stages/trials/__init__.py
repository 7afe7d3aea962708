"""What becomes of networks that are trained on: at home (the fine-tuning gap) and on other data (transfer)."""
