"""berthub's tokenization beside its peers: megabytes of text per second, and whose ids are whose."""
