"""A request on its way through an endpoint, as the dialects see it."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from berthub.serving.bodies import check_count, json_value, texts_of
from berthub.serving.failures import BadRequestError, UnavailableError
from berthub.serving.service import Service, Truncation
from berthub.serving.state import ServerState
from berthub.serving.work import Ledger, Terms
from berthub.tokenization.tokenizer import Text

__all__ = ["Call", "truncation_headers"]

_PRIORITY = "x-priority"
_TIMEOUT = "x-request-timeout"
_LARGEST = 1000
# In bytes: what takes more than a millisecond to take apart.
_LARGE = 1 << 15

T = TypeVar("T")


@dataclass(eq=False, kw_only=True)
class Call:
    """A request. `key` is whom its work is charged to; `path` has the values of the route's parameters."""

    state: ServerState
    request_id: str
    headers: Mapping[str, str]
    path: Mapping[str, str]
    key: str
    body: bytes = b""
    ledger: Ledger = field(default_factory=Ledger)
    model: str = ""
    deadline: float | None = None
    priority: int = 0
    held: int = 0
    using: list[Service] = field(default_factory=list)
    _ended: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def json(self) -> Any:
        """The body as a JSON value."""
        return json_value(self.body, texts=self.state.limits.texts)

    async def read(self, function: Callable[[], T], service: Service) -> T:
        """What a function reads from the body: in another thread where the body is large."""
        return await service.in_pool(function) if len(self.body) >= _LARGE else function()

    def service(self, name: str | None = None) -> Service:
        """The model of that name, None for the default; it is not replaced under the request."""
        service = self.state.models.service(name)
        self.model = service.name
        service.users += 1
        self.using.append(service)
        return service

    def terms(self, *, priority: int | None = None, seconds: float | None = None) -> Terms:
        """The terms of the request: what its body says of priority and time stands above the headers."""
        deadline = self.deadline
        if seconds is not None:
            soon = time.perf_counter() + seconds
            deadline = soon if deadline is None else min(soon, deadline)
        return Terms(
            key=self.key,
            priority=self.priority if priority is None else priority,
            deadline=deadline,
            ledger=self.ledger,
            hold=self.hold,
        )

    def hold(self, size: int) -> None:
        """Take room for so many bytes, until the request is answered; `QueueFullError` where there is none.

        A thread that tokenizes on for a client that has gone, or past the deadline, gets `UnavailableError`: nobody
        would give that room back.
        """
        with self._lock:
            if self._ended:
                raise UnavailableError("the request is over")
            self.state.hold(size)
            self.held += size

    def end(self) -> None:
        """Give back what the request took; it takes nothing any more."""
        with self._lock:
            self._ended = True
            self.state.release(self.held)
            self.held = 0
        for service in self.using:
            service.users -= 1
        self.using.clear()

    def texts(self, value: Any, where: str, *, pairs: bool = False) -> list[Text]:
        """A list of texts, as many as are taken at a time."""
        return texts_of(value, where, most=self.state.limits.texts, pairs=pairs)

    def check_count(self, rows: Sequence[Any], where: str, what: str = "texts") -> None:
        """`TooLargeError` for more texts than are taken at a time."""
        check_count(rows, where, most=self.state.limits.texts, what=what)

    def truncation(self, wanted: bool | None, *, side: str = "right") -> Truncation:
        """What is done with texts that are too long: as the request wants, or else as the operator."""
        truncates = self.state.limits.truncate if wanted is None else wanted
        if not truncates:
            return "refuse"
        return "left" if side == "left" else "right"

    def accepts(self, choices: Sequence[str]) -> str:
        """The media type of `choices` that the client likes best; the first where it does not mind."""
        accepted = self.headers.get("accept", "")
        best, most = choices[0], 0.0
        for entry in accepted.split(",")[:32]:
            name, *parameters = (part.strip().lower() for part in entry.split(";"))
            quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
            try:
                share = float(quality)
            except ValueError:
                continue
            if name in choices and share > most:
                best, most = name, share
        return best

    def read_terms(self) -> None:
        """Read what the headers say of priority and time."""
        self.priority = int(self._number(_PRIORITY, -_LARGEST, _LARGEST, whole=True) or 0)
        seconds = self._number(_TIMEOUT, 0.001, 86_400)
        if seconds is None:
            seconds = self.state.limits.seconds
        if seconds is not None:
            self.deadline = time.perf_counter() + seconds

    def _number(self, header: str, least: float, most: float, *, whole: bool = False) -> float | None:
        text = self.headers.get(header)
        if text is None:
            return None
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            kind = "a whole number" if whole else "seconds"
            raise BadRequestError(
                f"the header {header} must be {kind} from {least:g} to {most:g}, and is {text[:40]!r}", where=header
            )
        return value


def truncation_headers(truncated: int) -> Mapping[str, str]:
    """The header that tells how many texts were truncated, where some were."""
    return {"x-truncated-texts": str(truncated)} if truncated else {}
