"""Who hears of it: where topics, queues, tables, buckets and rules hand on what they are told."""

from collections.abc import Iterator

from cdk_app.guardrails.subject import Check, Subject, listed, rendered

__all__ = ["own_alias", "own_dead_letters", "own_listener", "own_targets", "without"]


def without(*names: str) -> Check:
    """Properties by which what a resource holds goes elsewhere, or comes from there."""

    def check(subject: Subject) -> Iterator[str]:
        for name in names:
            if subject.get(*name.split(".")) is not None:
                yield f"{name}: what it holds would be elsewhere: expected none"

    return check


def own_listener(subject: Subject) -> Iterator[str]:
    """The address that the registry names, or the platform's own webhook."""
    if rendered(subject.get("TopicArn")) not in subject.references("AWS::SNS::Topic", "${%s}"):
        yield f"hears {rendered(subject.get('TopicArn'))}, expected the topic of its stack"
    if more := sorted(set(subject.properties) - {"Endpoint", "Protocol", "TopicArn"}):
        yield f"{', '.join(more)}: expected none"
    owner, protocol, endpoint = subject.owner, subject.get("Protocol"), rendered(subject.get("Endpoint"))
    webhooks = [] if owner.tenant else subject.called("AWS::Lambda::Function", owner.platform.webhook_function)
    expected = {("email", owner.agreed.address), *(("lambda", f"${{{each}.Arn}}") for each in webhooks)}
    if (protocol, endpoint) not in expected:
        yield f"{protocol} {endpoint} hears it, expected {owner.agreed.address or 'nobody'} or the platform's webhook"


def own_dead_letters(subject: Subject) -> Iterator[str]:
    """What a queue gives up lies in its own dead-letter queue."""
    target = rendered(subject.get("RedrivePolicy", "deadLetterTargetArn") or "")
    expected = subject.owner.dead_letters_of(str(subject.get("QueueName")))
    dead = subject.called("AWS::SQS::Queue", expected)
    if "RedrivePolicy" in subject.properties and target not in {f"${{{each}.Arn}}" for each in dead}:
        yield f"hands on to {target}, expected {expected}"


def own_targets(subject: Subject) -> Iterator[str]:
    """A rule of the platform tells the platform's functions and its topic, in nobody's role."""
    known = subject.references("AWS::Lambda::Function", "${%s.Arn}") | subject.references("AWS::SNS::Topic", "${%s}")
    for target in listed(subject.get("Targets")):
        if subject.owner.tenant is None and rendered(target.get("Arn")) not in known:
            yield f"tells {rendered(target.get('Arn'))}, expected a function or the topic of the platform"
        if "RoleArn" in target:
            yield f"tells {rendered(target.get('Arn'))} as {rendered(target['RoleArn'])}: expected no role"


def own_alias(subject: Subject) -> Iterator[str]:
    if not subject.is_own_key(subject.get("TargetKeyId")):
        yield f"is another name of {rendered(subject.get('TargetKeyId'))}, expected the key of its stack"
