"""What the deploy workflow may be asked for."""

import pytest

from cli.errors import WrongInput
from cli.orders import Order, Task


def test_ids_may_have_blanks_or_commas_between_them_and_count_once():
    assert Order.of("dev", "deploy", " acme, skyline  acme,bookshop ").tenants == ("acme", "skyline", "bookshop")


def test_all_names_nobody():
    assert Order.of("prod", "suspend", "all") == Order("prod", Task.SUSPEND, ())


def test_offboarding_takes_one_tenant_whose_id_is_typed_twice():
    assert Order.of("dev", "offboard", "acme", "acme") == Order("dev", Task.OFFBOARD, ("acme",))


@pytest.mark.parametrize(
    ("tenants", "confirmation"),
    [("acme", ""), ("acme", "acme "), ("acme", "Acme"), ("acme", "\u0430cme"), ("acme globex", "acme"), ("all", "all")],
)
def test_offboarding_anything_else_is_refused(tenants, confirmation):
    with pytest.raises(WrongInput):
        Order.of("dev", "offboard", tenants, confirmation)


@pytest.mark.parametrize("action", ["plan", "deploy", "suspend", "resume"])
def test_a_confirmation_of_anything_else_is_a_mistake(action):
    with pytest.raises(WrongInput, match="only offboard takes one; leave it empty, or choose that action"):
        Order.of("dev", action, "acme", "acme")


def test_every_wrong_input_is_told_at_once_in_letters_that_everybody_can_tell_apart():
    with pytest.raises(WrongInput) as refused:
        Order.of("dev;", "destroy", "\u0430cme", "yes")

    assert str(refused.value) == (
        "environment 'dev;': expected one of tenants/environments.yaml but local; "
        "action 'destroy': expected one of plan, deploy, suspend, resume, offboard; "
        "tenants: '\\u0430cme' is no tenant id; expected ids with blanks or commas between them, or all; "
        "confirmation: only offboard takes one; leave it empty, or choose that action"
    )


@pytest.mark.parametrize(
    ("environment", "tenants"),
    [
        ("dev", "acme; touch injected"),
        ("dev", "$(touch injected)"),
        ("dev", "`touch injected`"),
        ("dev", "--dry-run"),
        ("dev", "acme\ntouch injected"),
        ("dev", "   "),
        ("dev", ""),
        ("dev", ","),
        ("dev", "../acme"),
        ("dev", "-acme"),
        ("dev", "acme --hotswap"),
        ("dev", "acme*"),
        ("dev", "?cme"),
        ("dev", "{acme,globex}"),
        ("dev", "~"),
        ("dev", "ACME"),
        ("dev", "acme\u202e"),
        ("dev", "acme\r"),
        ("dev", "acme\ttouch"),
        ("dev", "${{ secrets.X }}"),
        ("dev", "%0A::set-output name=x::y"),
        ("dev", "acme > injected"),
        ("dev", "all\n"),
        ("dev", "all acme"),
        ("dev\n", "all"),
        ("dev prod", "all"),
        ("-e", "all"),
        ("DEV", "all"),
        ("", "all"),
        ("local", "all"),
        ("dev/b", "all"),
    ],
)
def test_what_is_no_name_is_refused(environment, tenants):
    with pytest.raises(WrongInput):
        Order.of(environment, "deploy", tenants)
