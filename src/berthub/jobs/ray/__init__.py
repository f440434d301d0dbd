"""berthub on Ray (`berthub.ray`): encoding inside a Ray Data pipeline."""

from berthub.jobs.ray.encode import Encode

__all__ = ["Encode"]
