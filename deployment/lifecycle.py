"""What has become of tenants that leave, or have left, lets a plan do with their ids. Rules only: no calls."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deployment.records import Recorded, RecordedOffboarding

__all__ = ["FOR_EVER", "OFFBOARDING", "Ends", "command", "is_sooner", "terms_changed", "terms_of", "whose_of"]

OFFBOARDING, FOR_EVER = "offboarding", "never"


def terms_of(offboarding: Mapping[str, Any] | None) -> str | None:
    """How a tenant leaves, as a record keeps it: `requested_by`, `export` and so on by the names of tenants.yaml."""
    return None if offboarding is None else json.dumps(dict(offboarding), sort_keys=True, separators=(",", ":"))


def whose_of(name: str, owner: str) -> str:
    """Tells one party from another, as far as lines do: the same id may be another's by now."""
    return hashlib.sha256(json.dumps([name, owner]).encode()).hexdigest()[:16]


def terms_changed(old: str | None, new: str | None) -> tuple[str, ...]:
    """In words, by name."""
    was, is_ = (json.loads(terms) if terms else {} for terms in (old, new))
    names = sorted(name for name in {*was, *is_} if was.get(name) != is_.get(name))
    return tuple(f"{name.replace('_', ' ')} of the offboarding: {was.get(name)} → {is_.get(name)}" for name in names)


def is_sooner(old: str | None, new: str | None) -> bool:
    """Whether less time is left by the new terms: what nobody could read before a deploy begins with it."""
    was, is_ = (json.loads(terms).get("grace", 0) if terms else 0 for terms in (old, new))
    return bool(is_ < was)


def command(tenant: str, suffix: str) -> str:
    """What deletes everything of a tenant. `suffix` names its environment."""
    return f"`lake tenant offboard {tenant}{suffix} --delete-everything --confirm {tenant}`"


@dataclass(frozen=True)
class Ends:
    """How far the ends of tenants have come in the cells that are planned, by tenant; and who has left by the file.

    `tombstones`: the tenants that the file says have left, by stack. `suffix`: of commands, for the environment.
    """

    known: Mapping[str, RecordedOffboarding]
    tombstones: Mapping[str, str]
    suffix: str = ""

    @classmethod
    def of(
        cls, records: Iterable[Mapping[str, RecordedOffboarding]], tombstones: Mapping[str, str], suffix: str = ""
    ) -> "Ends":
        """Where two cells know of one tenant, what keeps its id longest counts."""
        every = [each for known in records for each in known.items()]
        return cls(dict(sorted(every, key=lambda each: hardness(each[1]))), tombstones, suffix)

    def left(self, tenant: str, state: str | None, life: int = 1) -> str | None:
        """Why a tenant of the file is left alone; None if it is not."""
        end = self.known.get(tenant)
        if end is None or state != OFFBOARDING or end.life != life:
            return None
        if end.is_certified:
            return f"has been offboarded, see s3 key {end.certificate}; its line may say `state: offboarded`"
        return f"is being offboarded since {end.at}, and left alone; {command(tenant, self.suffix)} goes on with it"

    def obstacle(self, tenant: str, state: str | None, life: int = 1) -> str | None:
        """Why nothing may be made of a tenant of the file in this state; None if it may."""
        end = self.known.get(tenant)
        if end is None or (state == OFFBOARDING and life == end.life):
            return None
        if not end.is_certified:
            return (
                f"{named(tenant, end.life)} is being offboarded since {end.at}, which is not taken back: put "
                f"`state: offboarding` with its `offboarding:` back, and {command(tenant, self.suffix)} goes on with it"
            )
        if end.reuse == FOR_EVER:
            return (
                f"the id {tenant} is not given again: its tenant was offboarded at {end.at} with `reuse: never` "
                f"(certificate: {end.certificate}); take another id"
            )
        if life > end.life:
            return None
        return (
            f"{named(tenant, life)} was offboarded at {end.at} (certificate: {end.certificate}); the lines of a new "
            f"tenant of this id say `life: {end.life + 1}`"
        )

    def stranger(self, tenant: str, life: int, found: int) -> str | None:
        """Why a stack of life `found`, 0 if that is not known, is not that of this tenant; None if it is."""
        end = self.known.get(tenant)
        is_next = end is not None and end.is_certified and end.life == life - 1
        if found == life or (not found and (life == 1 or is_next)):
            return None
        whose = (
            f"another tenant of this id, life {found}, stands here" if found else "whose stack stands here is unknown"
        )
        return (
            f"tenant {tenant} has life {life}, and {whose}: data of one are none of the other's; put the lines of the "
            f"other back, and offboard it here before this one comes: {command(tenant, self.suffix)}"
        )

    def successor(self, tenant: str, state: str | None, whose: str | None, recorded: Recorded | None) -> str | None:
        """Why lines that end an offboarding before its time may be those of somebody else; None if they are not.

        Whoever takes it back changes the state and no more. Nothing is said where nobody knows whose it was.
        """
        if recorded is None or recorded.state != OFFBOARDING or state == OFFBOARDING:
            return None
        if recorded.whose is None or recorded.whose == whose:
            return None
        return (
            f"tenant {tenant} is offboarding here, and these lines of another name or owner say `state: {state}`: a "
            "new tenant does not get what the one before has left. If it is the same one, put name and owner back, and "
            "change them after a deploy that takes its offboarding back. If it is a new one, put the lines of the one "
            f"before back, {command(tenant, self.suffix)} ends it here, and with `reuse: after certificate` the new "
            f"one's lines say `life: {(recorded.life or 1) + 1}`"
        )

    def astray(self, stack: str, recorded: Recorded | None, *, stands: bool) -> str | None:
        """Why a stack that is no tenant's by the file may not be passed over; None if nothing is left of it."""
        end = next((end for end in self.known.values() if end.stack == stack and not end.is_certified), None)
        tenant = self.tombstones.get(stack) or (recorded.tenant if recorded else None) or self._tenant(end)
        if stack in self.tombstones:
            return self._untimely(str(tenant), end, recorded, stands=stands)
        if end is not None:
            return (
                f"tenant {tenant} is being offboarded since {end.at}, without a certificate yet, and no longer in "
                f"tenants.yaml: put its lines back with `state: offboarding`, and {command(str(tenant), self.suffix)} "
                "goes on with it"
            )
        return lost(tenant, self.suffix) if stands else None

    def _tenant(self, end: RecordedOffboarding | None) -> str | None:
        return next((tenant for tenant, each in self.known.items() if each == end), None)

    def _untimely(
        self, tenant: str, end: RecordedOffboarding | None, recorded: Recorded | None, *, stands: bool
    ) -> str | None:
        if end is None and not stands and (recorded is None or recorded.is_begun):
            return None
        why = (
            f"is being offboarded since {end.at}, without a certificate yet"
            if end
            else "is deployed here"
            if stands
            else "was deployed here, and has no certificate"
        )
        return (
            f"tenant {tenant} is `offboarded` by tenants.yaml, but {why}: put `state: offboarding` back and deploy, "
            f"then {command(tenant, self.suffix)} deletes what there is and certifies it"
        )


def named(tenant: str, life: int) -> str:
    return f"tenant {tenant}" if life == 1 else f"tenant {tenant} (life {life})"


def hardness(end: RecordedOffboarding) -> int:
    return 2 if not end.is_certified else 1 if end.reuse == FOR_EVER else 0


def lost(tenant: str | None, suffix: str) -> str:
    whose, named = (f"tenant {tenant}", tenant) if tenant else ("the tenant of this stack", "TENANT")
    return (
        f"{whose} is deployed and no longer in tenants.yaml; taking a tenant out deletes nothing: put its lines back, "
        f"and to end it set `state: offboarding` there and deploy, then {command(named, suffix)}"
    )
