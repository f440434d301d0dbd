"""The plan of a job in its folder."""

from berthub.jobs.folder import STATE, JobFolder
from berthub.jobs.plan import Plan

__all__ = ["PLAN", "read_plan"]

PLAN = f"{STATE}/plan.json"


def read_plan(folder: JobFolder) -> Plan | None:
    """The plan of the job whose folder this is, None where there is none; `InputError` for one of another version."""
    data = folder.read(PLAN)
    return None if data is None else Plan.from_bytes(data, f"{folder.address}/{PLAN}")
