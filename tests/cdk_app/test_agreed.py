from cdk_app.guardrails import Agreed
from tests.templates import GLOBEX, agreed_of


def test_a_tenants_stack_writes_to_its_owner_and_the_platforms_to_whoever_operates_it():
    account = "777788889999"

    assert agreed_of("prod", GLOBEX) == {
        "mycompany-prod-platform": Agreed(account, "platform@mycompany.example", "/lake/chat"),
        "mycompany-acme-prod-tenant": Agreed(account, "data@acme.example", state="active"),
        "mycompany-acme-eu-prod-tenant": Agreed(account, "data@acme.example", state="suspended"),
        "mycompany-globex-prod-tenant": Agreed(account, "it@globex.example", state="active"),
    }


def test_on_this_machine_nobody_is_written_to():
    assert {each.address for each in agreed_of("local").values()} == {None}
