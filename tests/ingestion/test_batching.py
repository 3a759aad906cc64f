from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingestion.batching import AT_ONCE, Candidate, Rule, Share, choose, close

NOON = datetime(2024, 9, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class File:
    size: int = 10
    minutes: int = 0  # how long it has waited
    attempt: int = 0

    @property
    def arrived_at(self) -> datetime:
        return NOON - timedelta(minutes=self.minutes)


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


def test_files_of_a_failed_run_are_tried_again_among_themselves():
    failed, fresh = File(attempt=1), File(minutes=5)

    assert close([fresh, failed], Rule(max_wait=timedelta(hours=1), max_files=5, max_bytes=1000), NOON) == [failed]


def test_before_its_last_attempt_a_file_is_alone():
    suspect, other = File(size=1, attempt=2), File(size=2, attempt=2)

    assert close([suspect, other], AT_ONCE, NOON) == [suspect]
