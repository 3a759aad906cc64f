"""What templates of several tenants have in common: the text, with each tenant's own words out of it.

Two tenants whose old templates are of one mould, and whose new ones are of one mould, have the same differences: a
value is the same before and after with the tenant's own words in it if and only if it is without them. So one of them
tells what happens to all, and one call does for thousands.
"""

import hashlib
import json
from collections.abc import Sequence

from deployment.assembly import Stack
from tenants.naming import TenantNames

__all__ = ["mould", "moulded", "own_words"]


def own_words(names: TenantNames, owner: str) -> tuple[str, ...]:
    """What stands in a tenant's template and in nobody else's. Any list of words is right, a good one saves calls."""
    quoted = json.dumps(names.tenant)
    return names.log_group, names.workgroup, names.database, json.dumps(owner, ensure_ascii=False)[1:-1], quoted


def mould(stack: Stack, own: Sequence[str], version: str = "") -> str:
    """`version`: what else decides about the template that is sent, such as how it is adapted."""
    text = moulded(stack.template_file.read_text(encoding="utf-8"), own)
    return hashlib.sha256(f"{version}\0{text}".encode()).hexdigest()[:16]


def moulded(text: str, own: Sequence[str]) -> str:
    """Each word becomes its number between signs that no text of JSON holds, so that nothing else becomes the same."""
    for number, word in enumerate(own):
        text = text.replace(word, f"\0{number}\0")
    return text
