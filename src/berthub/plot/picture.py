"""A matplotlib figure that shows itself in notebooks. Importing this file needs matplotlib."""

import io
from typing import Any

from matplotlib.figure import Figure

__all__ = ["Picture"]


class Picture(Figure):
    """A `Figure` without pyplot: it belongs to nobody but its holder."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", facecolor="white")
        return file.getvalue()

    def _repr_html_(self) -> Any:
        # The picture is shown, not the base class's page.
        return None
