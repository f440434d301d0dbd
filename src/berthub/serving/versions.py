"""The versions of a model: how often it was loaded, and in which state that is, in TensorFlow Serving's words."""

from collections.abc import Mapping
from typing import Any

from berthub.serving.call import Call
from berthub.serving.endpoint import Endpoint, Handler
from berthub.serving.failures import UnknownModelError
from berthub.serving.models import Model
from berthub.serving.service import Service

__all__ = ["model_at", "model_endpoints", "service_at", "version_status"]


def version_status(model: Model, *, version: str | None = None) -> Mapping[str, Any]:
    """The state of each version, or of one (https://www.tensorflow.org/tfx/serving/api_rest#model_status_api)."""
    found = []
    if model.loading is not None or model.state == "failed":
        state = "LOADING" if model.loading is not None else "END"
        found.append(_status(model.version + 1, state, model.fault if state == "END" else None))
    if model.version:
        found.append(_status(model.version, "END" if model.service is None else "AVAILABLE", None))
    if not found:
        found.append(_status(1, "START", None))
    chosen = [each for each in found if version is None or each["version"] == version]
    if not chosen:
        raise _unknown_version(model, str(version))
    return {"model_version_status": chosen}


def _status(version: int, state: str, fault: str | None) -> Mapping[str, Any]:
    status = {"error_code": "INTERNAL", "error_message": fault} if fault else {"error_code": "OK", "error_message": ""}
    return {"version": str(version), "state": state, "status": status}


def model_at(call: Call) -> Model:
    """The model that a request's path names; `UnknownModelError` where it names another version than there is."""
    model = call.state.models.model(call.path["name"])
    version = call.path.get("version")
    if version is not None and model.service is not None and version != str(model.version):
        raise _unknown_version(model, version)
    return model


def service_at(call: Call) -> tuple[Service, str]:
    """The service of the model that a request's path names, and its version."""
    model = model_at(call)
    return call.service(model.name), str(model.version)


def model_endpoints(
    prefix: str, method: str, end: str, handler: Handler, operation: Mapping[str, Any]
) -> list[Endpoint]:
    """The endpoint of a model at `prefix`/NAME, and that of one of its versions. Any content type is taken."""
    return [
        Endpoint(
            path=f"{prefix}/{{name}}{version}{end}", method=method, handler=handler, media=None, operation=operation
        )
        for version in ("", "/versions/{version}")
    ]


def _unknown_version(model: Model, version: str) -> UnknownModelError:
    there = f"it serves {model.version}" if model.service is not None else "it is not loaded"
    return UnknownModelError(
        f"the model {model.name!r} has no version {version[:40]!r}: {there}; leave `/versions/...` out for the latest"
    )
