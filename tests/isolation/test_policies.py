import pytest

from isolation.errors import UnknownPolicy
from isolation.policies import Document, Named


def statements(*raw, version="2012-10-17"):
    return Document("stack: Policy", {"Version": version, "Statement": list(raw)}).statements


ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def test_a_single_value_is_a_list_of_one():
    (statement,) = statements({**ALLOW, "Principal": "*", "Sid": "Open"})

    assert statement.actions == ("s3:getobject",)
    assert statement.resources == ("*",)
    assert statement.principals == (Named("AWS", "*"),)
    assert str(statement) == "stack: Policy, statement Open"


def test_a_single_statement_is_a_list_of_one():
    assert len(Document("p", {"Version": "2012-10-17", "Statement": ALLOW}).statements) == 1


def test_allows_and_denials_are_told_apart():
    document = Document("p", {"Version": "2012-10-17", "Statement": [ALLOW, {**ALLOW, "Effect": "Deny"}]})

    assert [each.effect for each in document.allowing] == ["Allow"]
    assert [each.effect for each in document.denying] == ["Deny"]


def test_principals_of_several_kinds():
    (statement,) = statements({**ALLOW, "Principal": {"Service": "glue.amazonaws.com", "AWS": ["a", "b"]}})

    assert statement.principals == (Named("Service", "glue.amazonaws.com"), Named("AWS", "a"), Named("AWS", "b"))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({**ALLOW, "Efect": "Allow"}, "unknown element Efect"),
        ({**ALLOW, "Effect": "allow"}, "effect 'allow'"),
        ({**ALLOW, "NotAction": "s3:*"}, "either Action or NotAction"),
        ({"Effect": "Allow", "Resource": "*"}, "either Action or NotAction"),
        ({**ALLOW, "NotResource": "x"}, "either Resource or NotResource"),
        ({**ALLOW, "Principal": {"CanonicalUser": "79a5"}}, "CanonicalUser"),
    ],
)
def test_what_is_not_modelled_is_refused(raw, says):
    with pytest.raises(UnknownPolicy, match=says):
        statements(raw)


@pytest.mark.parametrize("version", ["2008-10-17", None])
def test_an_older_language_is_refused(version):
    with pytest.raises(UnknownPolicy, match="stack: Policy: version"):
        statements(ALLOW, version=version)
