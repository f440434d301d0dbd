"""Measure whether berthub's cost is linear in tokens up to a million texts, and a stream's memory bounded."""
