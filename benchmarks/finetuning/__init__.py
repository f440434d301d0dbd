"""berthub's fine-tuning beside its peers: scores on small data sets, and examples per second of training."""
