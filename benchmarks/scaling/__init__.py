"""Is berthub's cost linear in tokens, from a thousand texts to a million, and does a stream's memory stay bounded?"""
