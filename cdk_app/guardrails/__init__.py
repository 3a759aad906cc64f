"""A check of whole templates: what must hold for every resource of a type. A type that is not listed is a finding."""

from cdk_app.guardrails.agreed import Agreed, agreed
from cdk_app.guardrails.register import findings

__all__ = ["Agreed", "agreed", "findings"]
