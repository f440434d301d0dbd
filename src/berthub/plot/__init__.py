"""Pictures of texts by their vectors: `hub.plot.map` and `hub.plot.similarity`, drawn with matplotlib.

Each function returns a matplotlib `Figure`, which shows itself in notebooks; `figure.savefig("map.png")` writes a file.
Nothing is kept, and no window opens: pyplot is not used. `pip install 'berthub[plot]'` installs matplotlib.
"""

from berthub.plot.heat_map import similarity, tokens
from berthub.plot.points import map

__all__ = ["map", "similarity", "tokens"]
