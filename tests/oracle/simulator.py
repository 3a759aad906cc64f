"""A second opinion on who may do what: an IAM simulator in a process of its own, to which JSON is given and which answers JSON.

It is licensed under the AGPL: it is installed for tests only, nothing of it is imported or shipped.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdk_app.node import prepare

__all__ = ["Answer", "NotInstalled", "Policy", "Question", "ask"]

PROJECT = Path(__file__).resolve().parents[2]
INSTALLED = PROJECT / ".tools" / "oracle"
SCRIPT = Path(__file__).with_name("simulate.mjs")

Policy = Mapping[str, Any]


class NotInstalled(Exception):
    """Raised when the simulator is not there; `make test` installs it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """Asked for each of `actions` (without any: for every action of `service` that can name the resource) and context."""

    principal: str
    """ARN of a session of a role."""
    account: str
    resource: str
    identity: Sequence[Policy] = ()
    boundary: Sequence[Policy] = ()
    policy: Policy | None = None
    actions: Sequence[str] | None = None
    service: str | None = None
    mentioned: Sequence[str] | None = None
    """Patterns of the actions of a service that are asked; all, if there are none."""
    contexts: Sequence[Mapping[str, str | list[str]]] = ({},)


@dataclass(frozen=True)
class Answer:
    asked: list[tuple[str, int]]
    """Actions, each with the index of its context."""
    allowed: list[tuple[str, int]]
    ignored: list[str]
    """Keys of contexts that some action does not know."""
    errors: list[str]


def ask(questions: Iterable[Question]) -> list[Answer]:
    """All at once: Node starts once, and a policy is sent and checked once however often it is used."""
    documents = Documents()
    content = [documents.question(question) for question in questions]
    done = subprocess.run(
        [node(), str(SCRIPT), str(INSTALLED)],
        input=json.dumps({"documents": documents.content, "questions": content}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{SCRIPT}: {done.stderr.strip()}")
    return [answer(each) for each in json.loads(done.stdout)["answers"]]


def answer(content: Mapping[str, Any]) -> Answer:
    asked = [(action, index) for action, index in content["asked"]]
    return Answer(asked, [asked[position] for position in content["allowed"]], content["ignored"], content["errors"])


def node() -> str:
    if not (INSTALLED / "node_modules").is_dir():
        raise NotInstalled(f"{INSTALLED}: the simulator is not installed: run `make test`, which installs it")
    environment = dict(os.environ)
    prepare(environment, PROJECT)
    return environment["JSII_NODE"]


class Documents:
    """Policies by a short id, equal ones once."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}

    @property
    def content(self) -> dict[str, Any]:
        return {id_: json.loads(policy) for policy, id_ in self.ids.items()}

    def id(self, policy: Policy) -> str:
        return self.ids.setdefault(json.dumps(policy, sort_keys=True), f"policy{len(self.ids)}")

    def question(self, question: Question) -> dict[str, Any]:
        return {
            "principal": question.principal,
            "account": question.account,
            "resource": question.resource,
            "identity": [self.id(policy) for policy in question.identity],
            "boundary": [self.id(policy) for policy in question.boundary],
            "policy": None if question.policy is None else self.id(question.policy),
            "actions": None if question.actions is None else list(question.actions),
            "service": question.service,
            "mentioned": None if question.mentioned is None else list(question.mentioned),
            "contexts": list(question.contexts),
        }
