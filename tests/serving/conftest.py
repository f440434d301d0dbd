"""What the tests of the server share."""

from support.needs import module_needs

pytest_pycollect_makemodule = module_needs("starlette", "uvicorn", "httptools", "prometheus_client", "httpx")
