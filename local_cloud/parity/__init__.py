"""Where the local cloud differs from AWS, and how templates are fitted to it: `adapt`, deploy, then `complete`."""

from local_cloud.parity.completion import complete
from local_cloud.parity.listing import Difference, differences
from local_cloud.parity.templates import adapt

__all__ = ["Difference", "adapt", "complete", "differences"]
