"""A tenant's stack, deleted whatever state it is in, and without its key, which has to outlive the data."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from deployment.errors import StackError
from deployment.limits import INLINE_LIMIT
from deployment.parts import Folder

__all__ = ["Dissolution"]

KEY = "AWS::KMS::Key"
REMOVED_ANYWAY = {
    "AWS::Athena::NamedQuery",
    "AWS::Athena::WorkGroup",
    "AWS::CloudWatch::Alarm",
    "AWS::Events::Rule",
    "AWS::Glue::Database",
    "AWS::Glue::Job",
    "AWS::Glue::Table",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    KEY,
}
"""By `deployment.remnants`, as itself or with what it belongs to; the key in its turn."""

ROUNDS = 4  # of deletion, each of which leaves out what could not be deleted in the one before
LOOK = 3.0  # seconds
KEPT = {"Retain", "RetainExceptOnCreate"}


@dataclass
class Dissolution:
    """`folder` is where a template too long for a call is put; its guard is asked before each call that changes."""

    cloudformation: Any
    stack: str
    folder: Folder
    say: Callable[[str], None]
    sleep: Callable[[float], None]

    def resources(self) -> list[dict[str, str]]:
        """What the stack consists of, by type; nothing of one that is gone."""
        return [
            {"type": each["ResourceType"], "name": each.get("PhysicalResourceId", ""), "id": each["LogicalResourceId"]}
            for each in self._listed()
            if each["ResourceStatus"] != "DELETE_COMPLETE"
        ]

    def run(self) -> None:
        """Until it is gone; what it leaves behind stands in nobody's stack then."""
        for _ in range(ROUNDS):
            standing = self._settled()
            if standing is None:
                return
            if standing["StackStatus"] != "DELETE_FAILED":
                self._keep_key(standing)
            self._unprotect(standing)
            self._delete(self._settled() or standing)
        if (standing := self._settled()) is not None:
            self._raise_foreign()
            raise StackError(
                f"stack {self.stack}: is {standing['StackStatus']} after {ROUNDS} deletions "
                f"({standing.get('StackStatusReason', 'no reason given')}); see its events in CloudFormation, put that "
                "right and run the command again"
            )

    def _delete(self, standing: Mapping[str, Any]) -> None:
        request: dict[str, Any] = {"StackName": self.stack}
        if standing["StackStatus"] == "DELETE_FAILED":
            # CloudFormation takes names only after a failure, and only of what failed.
            request["RetainResources"] = [
                each["LogicalResourceId"] for each in self._failed() if each["ResourceType"] in REMOVED_ANYWAY
            ]
        self.say(f"deleting stack {self.stack}")
        self.folder.guard()
        try:
            self.cloudformation.delete_stack(**request)
        except ClientError:
            # The same: a second time it is no longer one whose deletion failed.
            if self._looked() == standing["StackStatus"]:
                raise

    def _failed(self) -> list[Mapping[str, Any]]:
        return [each for each in self._listed() if each["ResourceStatus"] == "DELETE_FAILED"]

    def _raise_foreign(self) -> None:
        """What is left out stands in no stack, so it has to be of a kind that is looked for and removed by itself.

        Anything else is deleted again each round, since its cause may be mended by now, and named in the end.
        """
        for each in self._failed():
            if each["ResourceType"] not in REMOVED_ANYWAY:
                raise StackError(
                    f"stack {self.stack}: {each['LogicalResourceId']} ({each['ResourceType']}, "
                    f"{each.get('PhysicalResourceId')}) could not be deleted: "
                    f"{each.get('ResourceStatusReason', 'no reason given')}; put that right and run the command again"
                )

    def _unprotect(self, standing: Mapping[str, Any]) -> None:
        if standing.get("EnableTerminationProtection"):
            self.folder.guard()
            self.cloudformation.update_termination_protection(StackName=self.stack, EnableTerminationProtection=False)

    def _keep_key(self, standing: Mapping[str, Any]) -> None:
        """Where data go with their stack, CloudFormation would schedule the key, while rows of it are still there."""
        template = self._template()
        if not isinstance(template, Mapping):
            return
        wanted = keeping(template)
        if wanted == template:
            return
        self.say(f"stack {self.stack}: letting go of its key")
        self.folder.guard()
        parameters = [
            {"ParameterKey": each["ParameterKey"], "UsePreviousValue": True} for each in standing.get("Parameters", ())
        ]
        try:
            self.cloudformation.update_stack(
                StackName=self.stack,
                Capabilities=["CAPABILITY_NAMED_IAM"],
                Parameters=parameters,
                **self._body(wanted),
            )
        except ClientError:
            # Refused, or sent a second time because the first answer was lost: the template tells.
            if self._settled() is None or self._template() != wanted:
                raise
        after = self._settled()
        if after is None or after["StackStatus"] != "UPDATE_COMPLETE":
            raise StackError(
                f"stack {self.stack}: could not be told to leave its key where it is, and is now "
                f"{after['StackStatus'] if after else 'gone'}; see its events in CloudFormation, run the command again"
            )

    def _template(self) -> Any:
        return self.cloudformation.get_template(StackName=self.stack, TemplateStage="Original")["TemplateBody"]

    def _body(self, template: Mapping[str, Any]) -> dict[str, str]:
        text = json.dumps(template)
        if len(text.encode()) <= INLINE_LIMIT:
            return {"TemplateBody": text}
        s3 = self.folder.s3
        s3.put_object(Bucket=self.folder.bucket, Key=self.folder.key("template.json"), Body=text.encode())
        return {"TemplateURL": f"{s3.meta.endpoint_url}/{self.folder.bucket}/{self.folder.key('template.json')}"}

    def _settled(self) -> dict[str, Any] | None:
        """The stack once nothing is in progress; None once it is gone."""
        while (standing := self._described()) is not None:
            if not standing["StackStatus"].endswith("_IN_PROGRESS"):
                return standing
            self.sleep(LOOK)
        return None

    def _described(self) -> dict[str, Any] | None:
        try:
            standing = dict(self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0])
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            return None
        return None if standing["StackStatus"] == "DELETE_COMPLETE" else standing

    def _looked(self) -> str | None:
        """Its state, whatever is in progress; None once it is gone."""
        standing = self._described()
        return standing["StackStatus"] if standing else None

    def _listed(self) -> Sequence[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        try:
            for page in self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.stack):
                found += page["StackResourceSummaries"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
        return found


def keeping(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template, with every key outliving its stack. CloudFormation takes a policy alone for no change at all, and a
    word of metadata for one.
    """
    resources = dict(template["Resources"])
    for name, each in resources.items():
        if each["Type"] == KEY and each.get("DeletionPolicy") not in KEPT:
            metadata = {**each.get("Metadata", {}), "lake:offboarding": "outlives the stack"}
            resources[name] = {**each, "DeletionPolicy": "Retain", "Metadata": metadata}
    return {**template, "Resources": resources}
