"""What templates of several tenants have in common: the text, with each tenant's own words out of it.

Two tenants whose old templates are of one mould, and whose new ones are of one mould, have the same differences: a
value is the same before and after with the tenant's own words in it if and only if it is without them. So one of them
tells what happens to all, and one call does for thousands.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property

from deployment.assembly import Stack
from tenants.naming import TenantNames

__all__ = ["OwnWords", "mould", "moulded"]


@dataclass(frozen=True)
class OwnWords:
    """What stands in a tenant's template and in nobody else's: `parts` of words, and `whole` ones.

    Any are right, since each becomes a sign of its own; good ones save calls.
    """

    parts: tuple[str, ...] = ()
    whole: str | None = None

    @classmethod
    def of(cls, names: TenantNames, owner: str) -> "OwnWords":
        return cls((names.log_group, names.workgroup, names.database, json.dumps(owner)[1:-1]), names.tenant)

    @cached_property
    def pattern(self) -> "re.Pattern[str] | None":
        word = re.escape(self.whole or "")
        # The word first: what stands before it is looked at only where it was found.
        return re.compile(rf"{word}(?<![\w-]{word})(?![\w-])") if self.whole else None


def mould(stack: Stack, own: OwnWords, version: str = "") -> str:
    """`version`: what else decides about the template that is sent, such as how it is adapted."""
    text = moulded(stack.read().decode(), own)
    return hashlib.sha256(f"{version}\0{text}".encode()).hexdigest()[:16]


def moulded(text: str, own: OwnWords) -> str:
    """Each word becomes a number between signs that no text of JSON holds, so that nothing else becomes the same."""
    for number, part in enumerate(own.parts):
        text = text.replace(part, f"\0{number}\0")
    return own.pattern.sub("\0id\0", text) if own.pattern else text
