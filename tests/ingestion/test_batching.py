from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingestion import batching
from ingestion.batching import AT_ONCE, Candidate, Rule, Share, choose

NOON = datetime(2024, 9, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class File:
    size: int = 10
    minutes: int = 0  # how long it has waited
    group: str | None = None
    retried: int | None = None  # minutes since it was to be tried again

    @property
    def arrived_at(self) -> datetime:
        return NOON - timedelta(minutes=self.minutes)

    @property
    def retry_at(self) -> datetime | None:
        return None if self.retried is None else NOON - timedelta(minutes=self.retried)


def named(files: Sequence[File]) -> str:
    """The id of a batch: here, the ages of its files."""
    return "+".join(sorted(str(file.minutes) for file in files))


def close(waiting: Iterable[File], rule: Rule, now: datetime = NOON) -> list[File]:
    return batching.close(waiting, rule, now, named)


def a_rule(*, wait: int = 15, files: int = 100, size: int = 1000) -> Rule:
    return Rule(max_wait=timedelta(minutes=wait), max_files=files, max_bytes=size)


def test_nothing_waits_nothing_closes():
    assert close([], a_rule(wait=0), NOON) == []


def test_a_batch_closes_by_age():
    assert close([File(minutes=14)], a_rule(wait=15), NOON) == []
    assert close([File(minutes=15)], a_rule(wait=15), NOON) == [File(minutes=15)]


def test_the_young_go_with_the_old():
    assert close([File(minutes=1), File(minutes=15)], a_rule(), NOON) == [File(minutes=15), File(minutes=1)]


def test_a_batch_closes_by_number_and_takes_the_oldest():
    waiting = [File(minutes=minute) for minute in (1, 3, 2)]

    assert close(waiting, a_rule(files=2), NOON) == [File(minutes=3), File(minutes=2)]
    assert close(waiting, a_rule(files=4), NOON) == []


def test_a_batch_closes_by_bytes():
    assert close([File(size=600), File(size=400)], a_rule(size=1000), NOON) == [File(size=600), File(size=400)]
    assert close([File(size=600), File(size=300)], a_rule(size=1000), NOON) == []
    assert close([File(size=600, minutes=1), File(size=600)], a_rule(size=1000), NOON) == [File(size=600, minutes=1)]


def test_a_file_larger_than_a_batch_goes_alone():
    assert close([File(size=5000, minutes=1), File()], a_rule(size=1000), NOON) == [File(size=5000, minutes=1)]


def test_without_waiting_whatever_is_there_goes():
    assert close([File()], a_rule(wait=0), NOON) == [File()]
    assert close([File()], AT_ONCE, NOON) == [File()]


files = st.lists(st.builds(File, size=st.integers(0, 2000), minutes=st.integers(0, 60)), max_size=30)
rules = st.builds(a_rule, wait=st.integers(0, 60), files=st.integers(1, 20), size=st.integers(1, 3000))


@given(files, rules)
def test_a_batch_keeps_its_limits_and_takes_the_oldest(waiting, rule):
    batch = close(waiting, rule, NOON)

    assert len(batch) <= rule.max_files
    assert len(batch) <= 1 or sum(file.size for file in batch) <= rule.max_bytes
    ages = sorted((file.minutes for file in waiting), reverse=True)
    assert [file.minutes for file in batch] == ages[: len(batch)]


@given(files, rules)
def test_no_file_waits_longer_than_allowed(waiting, rule):
    if any(timedelta(minutes=file.minutes) >= rule.max_wait for file in waiting):
        assert close(waiting, rule, NOON)


@given(files, rules)
def test_everything_drains(waiting, rule):
    left, late = list(waiting), NOON + timedelta(days=1)
    for _ in range(len(waiting)):
        for file in close(left, rule, late):
            left.remove(file)
    assert left == []


def a_candidate(tenant: str, dataset: str = "sales", *, minutes: int = 0, stage: int = 0) -> Candidate:
    job = ("raw_to_processed", "processed_to_analytics")[stage]
    return Candidate(tenant=tenant, dataset=dataset, job=job, oldest=NOON - timedelta(minutes=minutes), stage=stage)


def test_among_those_with_as_much_in_flight_the_line_goes_before_the_oldest_file():
    wanted = [a_candidate("old", minutes=99, stage=1), a_candidate("first"), a_candidate("second", minutes=5)]
    shares = {name: Share(max_in_flight=2, turn=turn) for name, turn in (("first", 0), ("second", 1))}

    assert [one.tenant for one in choose(wanted, shares | {"old": Share(max_in_flight=2)})] == [
        "first",
        "second",
        "old",
    ]


def test_the_longest_in_line_waits_for_those_with_less_in_flight():
    shares = {
        "waits": Share(max_in_flight=2, busy=frozenset({("raw_to_processed", "other")}), turn=0),
        "idle": Share(max_in_flight=2),
    }

    assert [one.tenant for one in choose([a_candidate("waits"), a_candidate("idle")], shares)] == ["idle", "waits"]


def test_a_tenant_has_no_more_in_flight_than_its_share():
    wanted = [a_candidate("acme", f"d{number}", minutes=number) for number in range(5)]

    assert [one.dataset for one in choose(wanted, {"acme": Share(max_in_flight=2)})] == ["d4", "d3"]


def test_one_run_per_dataset_and_job():
    share = Share(max_in_flight=8, busy=frozenset({("raw_to_processed", "sales")}))

    assert choose([a_candidate("acme", "sales")], {"acme": share}) == []
    assert len(choose([a_candidate("acme", "sales", stage=1)], {"acme": share})) == 1


def test_what_was_begun_is_finished_first():
    raw, commit = a_candidate("acme", "a", minutes=50), a_candidate("acme", "b", minutes=1, stage=1)

    assert choose([raw, commit], {"acme": Share(max_in_flight=1)}) == [commit]


def test_a_busy_tenant_lets_the_others_go_first():
    flood = [a_candidate("flood", f"d{number}", minutes=60) for number in range(10)]
    quiet = a_candidate("quiet", minutes=1)
    shares = {
        "flood": Share(max_in_flight=10, busy=frozenset({("raw_to_processed", "d99")})),
        "quiet": Share(max_in_flight=10),
    }

    assert choose([*flood, quiet], shares, limit=1) == [quiet]


def test_a_heavier_tenant_gets_more():
    wanted = [a_candidate(tenant, f"d{number}") for tenant in ("light", "heavy") for number in range(10)]
    shares = {"light": Share(max_in_flight=10, weight=1), "heavy": Share(max_in_flight=10, weight=3)}

    chosen = [one.tenant for one in choose(wanted, shares, limit=8)]
    assert (chosen.count("heavy"), chosen.count("light")) == (6, 2)


@given(
    st.lists(
        st.builds(
            a_candidate,
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["x", "y", "z"]),
            minutes=st.integers(0, 99),
            stage=st.integers(0, 1),
        ),
        max_size=20,
    ),
    st.integers(0, 4),
)
def test_shares_are_kept_whatever_is_wanted(wanted, cap):
    shares = {tenant: Share(max_in_flight=cap) for tenant in "abc"}
    chosen = choose(wanted, shares)

    for tenant in "abc":
        mine = [(one.job, one.dataset) for one in chosen if one.tenant == tenant]
        possible = {(one.job, one.dataset) for one in wanted if one.tenant == tenant}
        assert len(mine) == len(set(mine)) == min(cap, len(possible))


def a_group(*minutes: int, name: str | None = None, retried: int = 0) -> list[File]:
    name = name or "+".join(sorted(map(str, minutes)))
    return [File(minutes=minute, group=name, retried=retried) for minute in minutes]


def test_a_group_goes_whole_and_by_itself_before_what_is_new():
    group = a_group(3, 1)

    assert close([File(minutes=60), *group], a_rule(wait=0)) == group


def test_a_group_is_never_cut_whatever_the_limits_say_now():
    group = a_group(3, 2, 1)

    assert close(group, a_rule(files=2, size=5)) == group


def test_a_group_does_not_wait_for_the_age_or_the_schedule_of_the_dataset():
    group = a_group(1)

    assert close(group, a_rule(wait=60)) == group
    assert close(group, scheduled(30)) == group


def test_a_group_that_lacks_a_file_waits_two_minutes_for_it():
    [one, other] = a_group(20, 10)

    assert close([one], AT_ONCE) == []
    assert close([one], AT_ONCE, NOON + timedelta(minutes=1, seconds=59)) == []
    assert close([one], AT_ONCE, NOON + timedelta(minutes=2)) == [one]
    assert close([other, one], AT_ONCE) == [one, other]


def test_the_two_minutes_count_from_the_newest_retry():
    half = [*a_group(20, name="g", retried=5), *a_group(10, name="g", retried=1)]

    assert close(half, AT_ONCE) == []
    assert close(half, AT_ONCE, NOON + timedelta(minutes=1)) == half


def test_while_a_group_waits_for_a_file_what_is_new_goes_on():
    half, new = File(minutes=20, group="20+10", retried=0), File(minutes=1)

    assert close([half, new], AT_ONCE) == [new]


def test_of_groups_the_one_with_the_oldest_file_goes_first_and_none_takes_files_of_another():
    young, old = a_group(9, 3), a_group(10, 1)

    assert close([*young, *old], AT_ONCE) == old


def test_a_group_that_lacks_a_file_does_not_keep_the_next_one():
    assert close([*a_group(30, name="lacks one"), *a_group(5)], AT_ONCE) == a_group(5)


mixed = st.lists(
    st.builds(
        File,
        size=st.integers(0, 2000),
        minutes=st.integers(0, 60),
        group=st.sampled_from([None, None, "g", "h"]),
        retried=st.integers(0, 9),
    ),
    max_size=30,
)


@given(mixed, rules)
def test_no_batch_mixes_groups_with_each_other_or_with_what_is_new(waiting, rule):
    batch = close(waiting, rule, NOON + timedelta(minutes=1))
    group = batch[0].group if batch else None

    assert {file.group for file in batch} <= {group}
    if group is not None:
        assert len(batch) == len([file for file in waiting if file.group == group])


@given(mixed, rules)
def test_groups_drain_too(waiting, rule):
    left, late = list(waiting), NOON + timedelta(days=1)
    for _ in range(len(waiting)):
        for file in close(left, rule, late):
            left.remove(file)
    assert left == []


def scheduled(minutes: int, *, files: int = 100, size: int = 1000) -> Rule:
    """A rule that was due some minutes ago."""
    return Rule(max_wait=timedelta(0), max_files=files, max_bytes=size, due=NOON - timedelta(minutes=minutes))


def test_on_schedule_goes_what_arrived_until_it_was_due_and_nothing_younger():
    old, exact, young = File(minutes=20), File(minutes=10), File(minutes=9)

    assert close([young, exact, old], scheduled(10)) == [old, exact]
    assert close([young], scheduled(10)) == []


def test_on_schedule_limits_cut_a_batch_and_do_not_start_one():
    waiting = [File(minutes=minute, size=600) for minute in (30, 20, 9, 8, 7)]

    assert close(waiting, scheduled(10, files=1)) == waiting[:1]
    assert close(waiting, scheduled(10, size=1000)) == waiting[:1]
    assert close(waiting[2:], scheduled(10, files=1, size=10)) == []
