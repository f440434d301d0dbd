"""The dialects of HTTP in which clients ask: each translates requests and answers, and does nothing else."""
