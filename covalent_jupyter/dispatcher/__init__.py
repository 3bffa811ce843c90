"""The shell round the pure engine: fold, record, announce, act; in this order."""

from .bus import Bus
from .checks import Limits
from .dispatcher import Dispatcher

__all__ = ["Bus", "Dispatcher", "Limits"]
