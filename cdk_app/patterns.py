"""A synthesised shape: its texts with the holes in them, and what becomes of them for one tenant."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from cdk_app.holes import BEGINNINGS, FIRST_NUMBER, FREE, NAMES, HoleLost, HoleUnfit, Text, numbers, texts
from cdk_app.stencils import Stencil, encoded, refuse_keys
from cdk_app.values import Site, TenantValues
from glue_scripts.arguments import SCRIPTS

__all__ = ["Pattern", "fillings", "key_of", "number", "record_of"]

TEMPLATE, DESTINATION = "template", "destination"
# Signs of names; none of them is written otherwise in JSON.
PLAIN = re.compile(r"[A-Za-z0-9_./:-]+\Z")
EXACT = 2**53


@dataclass(frozen=True)
class Pattern:
    """A shape as the CDK library synthesised it: texts of template, list of assets, entries of the manifest.

    Raises HoleError where one of them is used that does not hold what it should.
    """

    texts: Mapping[str, str]
    where: str

    @classmethod
    def of(cls, texts: Mapping[str, str], site: Site, *, where: str) -> "Pattern":
        """From the texts of a record that nobody has looked at; raises HoleInKey and HoleLost."""
        refuse_keys(texts["template"], where=where)
        found = cls(texts, where)
        refuse_missing(found.template, site, where=where)
        return found

    @cached_property
    def template(self) -> Stencil:
        """Not cut where nobody needs a template, as it is the longest by far."""
        return self._cut("template")

    @cached_property
    def assets(self) -> Stencil:
        return self._cut("assets")

    @cached_property
    def artifacts(self) -> Stencil:
        return self._cut("artifacts")

    @cached_property
    def destination(self) -> Stencil:
        return self._cut("destination")

    @cached_property
    def outside(self) -> frozenset[str]:
        """Holes of the entries in the manifest."""
        return frozenset(self.artifacts.names | self.destination.names)

    def _cut(self, name: str) -> Stencil:
        named = {FIRST_NUMBER + position: name for name, position in numbers().items()}
        return Stencil.cut(self.texts[name], named, where=self.where)

    def template_of(self, filled: Mapping[str, str]) -> bytes:
        """One tenant's template; `filled` as `fillings` gives it."""
        return self.template.fill(filled).encode()

    def assets_of(self, filled: Mapping[str, str], digest: str) -> bytes:
        """The tenant's list of assets; `digest` is that of its template."""
        return self.assets.fill(self._derived(filled, digest)).encode()

    def artifacts_of(self, filled: Mapping[str, str], digest: str) -> str:
        """The tenant's entries in the manifest."""
        return self.artifacts.fill(self._derived(filled, digest))

    def _derived(self, filled: Mapping[str, str], digest: str) -> dict[str, str]:
        derived = {**filled, TEMPLATE: digest, DESTINATION: ""}
        derived[DESTINATION] = short(self.destination.fill(derived))
        return derived


def refuse_missing(template: Stencil, site: Site, *, where: str) -> None:
    """A value that is nowhere was hashed or counted with on its way; the stack's own name is not in its template."""
    expected = {*numbers(), *texts(), *NAMES, *(f"job_{script}" for script in SCRIPTS)} - {"stack"}
    if not site.writes_to_owners:
        expected -= {"owner"}
    if missing := sorted(expected - template.names):
        raise HoleLost(f"{where}: the template lacks {', '.join(missing)}")


def fillings(values: TenantValues, wanted: Collection[str] | None = None) -> dict[str, str]:
    """What goes into the holes, or those that are wanted, as it stands in JSON; raises HoleUnfit."""
    names = values.names
    made = {name: getattr(names, name) for name in NAMES if wanted is None or name in wanted}
    for script in SCRIPTS:
        if wanted is None or f"job_{script}" in wanted:
            made[f"job_{script}"] = names.job(script)
    for name in texts():
        if wanted is None or name in wanted:
            text = getattr(values, name)
            made[name] = encoded(text) if name in FREE else text
    for name, text in made.items():
        made[name] = fitting(name, text, values.tenant)
    for name in numbers():
        if wanted is None or name in wanted:
            made[name] = number(getattr(values, name))
    return made


def fitting(name: str, text: str, tenant: str) -> str:
    """As it goes into its hole."""
    if name not in FREE and not PLAIN.match(text):
        raise HoleUnfit(f"{name} of {tenant}: {text!a} holds signs that no name has")
    beginning = BEGINNINGS.get(name, "")
    if not text.startswith(beginning):
        raise HoleUnfit(f"{name} of {tenant}: {text!a} does not begin with {beginning}")
    return text.removeprefix(beginning)


def key_of(shape: str, values: TenantValues) -> str:
    """Digest of all that a tenant's part of an assembly is made from; `shape` names the pattern and the site."""
    facts = (shape, *(getattr(values, name) for name in (*texts(), *numbers())))
    return hashlib.sha256(repr(facts).encode(errors="surrogatepass")).hexdigest()


def number(value: int) -> str:
    """As JavaScript writes it, whose numbers are floats."""
    if abs(value) <= EXACT:
        return str(value)
    nearest = repr(float(value))
    return nearest if abs(float(value)) >= 1e21 else str(int(Decimal(nearest)))


def short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def record_of(assembly: Path, *, holed: bool) -> dict[str, Any]:
    """The last stack of an assembly as texts, with holes where the digest of its template and what follows from it are.

    Raises HoleLost where the CDK library derives something from the template otherwise than is known here.
    """
    manifest = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))
    artifacts = manifest.pop("artifacts")
    stack = [name for name, each in artifacts.items() if each["type"] == "aws:cloudformation:stack"][-1]
    template = (assembly / f"{stack}.template.json").read_text(encoding="utf-8")
    assets = (assembly / f"{stack}.assets.json").read_text(encoding="utf-8")
    files = json.loads(assets)["files"]
    digest = hashlib.sha256(template.encode()).hexdigest()
    ((key, place),) = files.pop(digest)["destinations"].items()
    destination = json.dumps(place, separators=(",", ":"), ensure_ascii=False)
    if key.rpartition("-")[2] != short(destination):
        raise HoleLost(f"{stack}: {key} is not what it was: see how the CDK library names destinations of assets")
    del artifacts[stack]["additionalMetadataFile"]
    entries = (f"{json.dumps(name)}: {json.dumps(artifacts[name])}" for name in (f"{stack}.assets", stack))
    own = {"assets": assets, "artifacts": ",\n".join(entries), "destination": destination}
    if holed:
        own = {name: with_holes(text, digest, key) for name, text in own.items()}
    return {
        "stack": stack,
        "texts": {"template": template, **own},
        "files": sorted(each["source"]["path"] for each in files.values()),
        "header": manifest,
        "version": (assembly / "cdk.out").read_text(encoding="utf-8"),
    }


def with_holes(text: str, digest: str, key: str) -> str:
    place = key.rpartition("-")[0]
    return text.replace(digest, f"{Text(TEMPLATE)}").replace(f'"{key}"', f'"{place}-{Text(DESTINATION)}"')
