"""berthub on Ray (`berthub.ray`): encoding inside a Ray Data pipeline, and jobs on a cluster."""

from berthub.jobs.ray.encode import Encode
from berthub.jobs.ray.runner import RayRunner

__all__ = ["Encode", "RayRunner"]
