from cdk_app.keys import PlatformKey, TenantKey


def statements(key):
    return {each.get("Sid"): each for each in key["KeyPolicy"]["Statement"]}


def tenant_key(stack, site):
    return TenantKey(
        stack,
        "Key",
        site=site,
        owner="mycompany-acme-prod",
        alias="alias/mycompany-acme-prod",
        roles=["mycompany-acme-prod-job", "mycompany-acme-prod-analyst"],
        log_group="/lake/mycompany/prod/acme/jobs",
    )


def test_keys_rotate_and_have_an_alias(stack, site, found):
    tenant_key(stack, site)

    (key,) = found(stack, "AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    (alias,) = found(stack, "AWS::KMS::Alias")
    assert alias["AliasName"] == "alias/mycompany-acme-prod"


def test_a_tenants_key_is_closed_to_roles_of_other_tenants(stack, site, found):
    tenant_key(stack, site)

    (key,) = found(stack, "AWS::KMS::Key")
    denial = statements(key)["ForeignTenants"]
    assert (denial["Effect"], denial["Action"]) == ("Deny", "kms:*")
    assert denial["Condition"]["ArnNotEquals"] == {
        "aws:PrincipalArn": [
            "arn:aws:iam::777788889999:role/mycompany-acme-prod-job",
            "arn:aws:iam::777788889999:role/mycompany-acme-prod-analyst",
        ]
    }


def test_a_tenants_key_is_not_handed_on_by_grants(stack, site, found):
    tenant_key(stack, site)

    (key,) = found(stack, "AWS::KMS::Key")
    denial = statements(key)["Grants"]
    assert (denial["Effect"], denial["Action"]) == ("Deny", "kms:CreateGrant")
    assert denial["Condition"] == {"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}}


def test_logs_may_use_a_tenants_key_for_the_tenants_groups_only(stack, site, found):
    tenant_key(stack, site)

    (key,) = found(stack, "AWS::KMS::Key")
    assert statements(key)["Logs"]["Principal"] == {"Service": "logs.eu-central-1.amazonaws.com"}
    assert statements(key)["Logs"]["Condition"] == {
        "ArnLike": {
            "kms:EncryptionContext:aws:logs:arn": [
                "arn:aws:logs:eu-central-1:777788889999:log-group:/lake/mycompany/prod/acme/jobs/*"
            ]
        }
    }


def test_services_use_the_platforms_key_for_sources_of_this_account_only(stack, site, found):
    PlatformKey(stack, "Key", site=site)

    (key,) = found(stack, "AWS::KMS::Key")
    assert statements(key)["Events"]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "777788889999"},
        "ArnLike": {"aws:SourceArn": "arn:aws:events:eu-central-1:777788889999:rule/mycompany-*"},
    }
    assert statements(key)["Alarms"]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "777788889999"},
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:777788889999:alarm:mycompany-*"},
    }
