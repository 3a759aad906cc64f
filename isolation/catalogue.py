"""Every action of the services that are asked about, as AWS's reference lists them, and one that does not exist yet."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["FUTURE", "Catalogue", "catalogue"]

# `s3:zzfutureaction` is whatever AWS adds to a service after the catalogue was made.
FUTURE = "zzfutureaction"


@dataclass(frozen=True)
class Catalogue:
    """Actions in lower case, with their service. `on_resources` name a resource; `account_wide` ones can name none."""

    source: str
    on_resources: dict[str, tuple[str, ...]]
    account_wide: dict[str, tuple[str, ...]]
    spelling: dict[str, str]

    @property
    def services(self) -> list[str]:
        return sorted(self.on_resources)

    def actions(self, *services: str) -> tuple[str, ...]:
        """All of these services, whatever they are authorised on."""
        return tuple(
            action for service in services for action in (*self.on_resources[service], *self.account_wide[service][:-1])
        )

    def spelled(self, action: str) -> str:
        """As AWS writes it."""
        return self.spelling.get(action, action)


@cache
def catalogue() -> Catalogue:
    content = json.loads(Path(__file__).with_name("actions.json").read_text(encoding="utf-8"))
    services = content["services"]
    return Catalogue(
        source=f"{content['source']} {content['version']} of {content['updated']}",
        on_resources={name: listed(name, each["on_resources"]) for name, each in services.items()},
        account_wide={name: listed(name, each["account_wide"]) for name, each in services.items()},
        spelling={
            f"{name}:{action}".lower(): f"{name}:{action}"
            for name, each in services.items()
            for action in [*each["on_resources"], *each["account_wide"], "ZzFutureAction"]
        },
    )


def listed(service: str, actions: list[str]) -> tuple[str, ...]:
    """With the one to come as the last."""
    return tuple(f"{service}:{action.lower()}" for action in [*actions, FUTURE])
