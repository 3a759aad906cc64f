"""Stacks as CloudFormation describes them, and the templates that it has of them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from deployment.stacks import Standing, digest_in

__all__ = ["LiveStacks"]


@dataclass(frozen=True)
class LiveStacks:
    """Of one account and Region. One that `forgets_updates` goes on describing a stack as it was created."""

    cloudformation: Any
    forgets_updates: bool = False

    def standing(self, names: Collection[str] | None = None) -> Mapping[str, Standing]:
        """Those of `names` that there are; all for None."""
        return {each["StackName"]: self._standing(each) for each in self._described(names)}

    def template(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.cloudformation.get_template(StackName=name)["TemplateBody"]
        return found

    def _described(self, names: Collection[str] | None) -> Iterator[Mapping[str, Any]]:
        if names is None:
            for page in self.cloudformation.get_paginator("describe_stacks").paginate():
                yield from page["Stacks"]
        for name in sorted(names or ()):
            try:
                yield from self.cloudformation.describe_stacks(StackName=name)["Stacks"]
            except ClientError as error:
                if "does not exist" not in str(error):
                    raise

    def _standing(self, described: Mapping[str, Any]) -> Standing:
        found = Standing.of(described)
        if not self.forgets_updates:
            return found
        found = replace(found, updated=None)
        if found.status != "UPDATE_COMPLETE":
            return found
        return replace(found, digest=digest_in(self.template(described["StackName"]).get("Description", "")))
