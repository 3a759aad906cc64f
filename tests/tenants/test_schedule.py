import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.errors import RegistryError
from tenants.registry import load
from tenants.schedule import compile_schedule

EVERY_DAY = list(range(1, 32))
EVERY_MONTH = list(range(1, 13))


def cron(**given):
    whole = {"minutes": [0], "hours": [6], "days": EVERY_DAY, "months": EVERY_MONTH, "weekdays": None, "years": None}
    return {"cron": whole | given}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("rate(1 minute)", 60), ("rate(90 minutes)", 5_400), ("rate(6 hours)", 21_600), ("rate(1 day)", 86_400)],
)
def test_a_rate_is_so_many_seconds(text, seconds):
    assert compile_schedule(text) == {"rate_s": seconds}


@pytest.mark.parametrize(
    ("text", "compiled"),
    [
        ("cron(0 6 * * ? *)", cron()),
        ("cron(*/15 8-17 ? * MON-FRI *)",
         cron(minutes=[0, 15, 30, 45], hours=list(range(8, 18)), days=None, weekdays=[2, 3, 4, 5, 6])),
        ("cron(0/10,5 6 1,15 * ? *)", cron(minutes=[0, 5, 10, 20, 30, 40, 50], days=[1, 15])),
        ("cron(0 6 ? jan,7 1 *)", cron(days=None, months=[1, 7], weekdays=[1])),
        ("cron(0 8-18/5 * * ? 2027-2029)", cron(hours=[8, 13, 18], years=[2027, 2028, 2029])),
        ("cron(0 6 29 2 ? *)", cron(days=[29], months=[2])),
    ],
)  # fmt: skip
def test_a_cron_is_the_numbers_that_it_stands_for(text, compiled):
    assert compile_schedule(text) == compiled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("every day", "'every day' is no schedule; expected such as rate(1 day) or cron(0 6 * * ? *)"),
        ("rate(0 days)", "is no schedule"),
        ("rate(1 month)", "is no schedule"),
        ("cron(0 6 * *)", "4 fields; expected 6: minutes, hours, days, months, weekdays, years"),
        ("cron(0 6 * * * *)", "one of days (of the month) and weekdays has to be ?, the other not"),
        ("cron(0 6 ? * ? *)", "one of days (of the month) and weekdays has to be ?, the other not"),
        ("cron(? 6 * * ? *)", "minutes '?': expected numbers or *"),
        ("cron(60 6 * * ? *)", "minutes '60': expected 0 to 59, or *"),
        ("cron(0 6 ? * FUNDAY *)", "weekdays 'FUNDAY': expected 1 to 7 or SUN to SAT, or *"),
        ("cron(0 6 ? * 0 *)", "weekdays '0': expected 1 to 7"),
        ("cron(0 6 ? * FRI-MON *)", "weekdays 'FRI-MON' ends before it begins; write two ranges"),
        ("cron(*/0 6 * * ? *)", "minutes: '0' is no step"),
        ("cron(0 6 L * ? *)", "days 'L': L, W and # are not supported"),
        ("cron(0 6 15W * ? *)", "days '15W': L, W and # are not supported"),
        ("cron(0 6 ? * 6#3 *)", "weekdays '6#3': L, W and # are not supported"),
        ("cron(0 6 ? * FRIL *)", "weekdays 'FRIL': L, W and # are not supported"),
        ("cron(0 6 31 2 ? *)", "no day is ever like that"),
        ("cron(0 6 29 2 ? 2027)", "no day is ever like that"),
        ("cron(, 6 * * ? *)", "minutes '': expected 0 to 59"),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_was_expected(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        compile_schedule(text)


@given(st.text(alphabet="0123456789*/,-?LW#MONJAN ()cronrate", max_size=40))
def test_any_text_is_a_schedule_or_refused(text):
    for written in (text, f"cron({text})", f"rate({text})"):
        try:
            compiled = compile_schedule(written)
        except ValueError:
            continue
        assert set(compiled) in ({"rate_s"}, {"cron"})


@given(st.lists(st.integers(0, 59), min_size=1, unique=True), st.integers(1, 31))
def test_a_list_of_numbers_comes_back_sorted(minutes, day):
    written = f"cron({','.join(map(str, minutes))} 0 {day} 1 ? *)"

    assert compile_schedule(written) == cron(minutes=sorted(minutes), hours=[0], days=[day], months=[1])


def write(folder, dataset):
    text = (folder / "tenants.yaml").read_text()
    (folder / "tenants.yaml").write_text(text.replace("[orders]", f"[{dataset}]"))


def test_a_dataset_may_start_by_the_clock(folder):
    write(folder, '{name: orders, schedule: "cron(0 6 * * ? *)", max_files: 100}')

    (orders,) = load(folder).tenant("acme").datasets

    assert (orders.schedule, orders.max_files) == ("cron(0 6 * * ? *)", 100)


def test_a_dataset_starts_by_the_clock_or_by_what_arrives_and_not_both(folder):
    write(folder, "{name: orders, schedule: rate(1 day), max_wait: 1 hour}")

    with pytest.raises(RegistryError, match=r"tenants.yaml:6.*schedule and max_wait exclude each other"):
        load(folder)


def test_a_wrong_schedule_is_told_at_its_line(folder):
    write(folder, '{name: orders, schedule: "cron(0 6 L * ? *)"}')

    with pytest.raises(RegistryError, match=r"tenants.yaml:6.*schedule.*L, W and # are not supported"):
        load(folder)


def test_the_form_is_the_one_that_dispatch_reads():
    from datetime import UTC, datetime

    from ingestion.schedules import last_due

    now = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)  # a Saturday

    assert last_due(compile_schedule("rate(1 hour)"), now) == datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert last_due(compile_schedule("cron(0 6 * * ? *)"), now) == datetime(2026, 11, 20, 6, tzinfo=UTC)
    assert last_due(compile_schedule("cron(15 5 ? * MON-FRI *)"), now) == datetime(2026, 11, 20, 5, 15, tzinfo=UTC)
    assert last_due(compile_schedule("cron(0 0 29 2 ? *)"), now) == datetime(2024, 2, 29, tzinfo=UTC)
