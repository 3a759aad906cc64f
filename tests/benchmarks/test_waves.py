"""What the simulated `lake deploy` asks CloudFormation is what the real one asks."""

import json
from collections import Counter
from pathlib import Path

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from benchmarks.fleet import Cell, Part
from benchmarks.waves import CREATE, UPDATE, Lake, rates
from deployment.assembly import Stack
from deployment.stacks import Adaptation, Clients, Stacks
from deployment.waves import Looks, Pace

REGION = "eu-central-1"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"


class Answers:
    """CloudFormation with one stack that reaches its template at once; counts what is asked."""

    def __init__(self, client):
        self.stands, self.events, self.asked = None, 0, Counter()
        client.meta.events.register("before-call.cloudformation", self.answer)

    def answer(self, model, params, **_):
        self.asked[model.name] += 1
        status, body = 200, {}
        if model.name == "DescribeStacks" and self.stands is None:
            status, body = 400, {"Error": {"Code": "ValidationError", "Message": "Stack with id a does not exist"}}
        elif model.name == "DescribeStacks":
            body = {"Stacks": [self.stands]}
        elif model.name == "DescribeStackEvents":
            body = {"StackEvents": [{"EventId": "e"}]}
        elif model.name in {"CreateStack", "UpdateStack"}:
            state = model.name.removesuffix("Stack").upper()
            description = json.loads(params["body"]["TemplateBody"])["Description"]
            self.stands = {"StackName": "a", "StackStatus": f"{state}_COMPLETE", "Description": description}
        return AWSResponse("https://cloudformation", status, {}, None), {
            **body,
            "ResponseMetadata": {"HTTPStatusCode": status},
        }


@pytest.fixture
def cloudformation():
    client = boto3.client("cloudformation", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")
    return client, Answers(client)


def a_stack(folder, **properties):
    template = folder / "a.template.json"
    template.write_text(json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": properties}}}))
    return Stack(
        name="a",
        template_file=template,
        account="123456789012",
        region=REGION,
        tags={},
        termination_protection=False,
        execution_role=None,
        template_bucket="none",
        assets=(),
    )


def asked(cloudformation, stack):
    """Requests of one real deploy of one stack."""
    client, answers = cloudformation
    answers.asked.clear()
    real = Stacks(Clients(client, None), Adaptation(), lambda *_: None, pace=Pace(gap=0), looks=Looks(per_second=1e6))
    (outcome,) = real.deploy([stack])
    assert outcome.action in {"created", "updated"}, outcome.error
    return Counter(answers.asked)


def simulated(verb):
    cell = Cell((), 7)
    deploy = Lake(cell, [(Part(("CreateTopic",), 1.0),)], verb)
    cell.clock.start(deploy.run([0]))
    cell.clock.run()
    return Counter({name: n for name, n in deploy.client.items() if not name.startswith("s3:")})


def test_a_creation_and_an_update_ask_what_the_simulation_says(cloudformation, tmp_path):
    for verb, title in ((CREATE, "first"), (UPDATE, "second")):
        real, said = asked(cloudformation, a_stack(tmp_path, DisplayName=title)), simulated(verb)
        looks, more = real.pop("DescribeStacks"), said.pop("DescribeStacks")

        assert real == said
        assert looks == 2  # before, and one look at what stands at once
        assert more > 2


def test_the_page_lists_the_rates_that_the_simulation_goes_by():
    assert "\n".join(rates()) in PAGE.read_text(encoding="utf-8")
