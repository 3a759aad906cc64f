from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cli.journey import Arrival, Journey, stages, summary
from lineage.errors import NotInLedger

NOON = datetime(2024, 9, 20, 12, tzinfo=UTC)


@dataclass
class State:
    key: str
    version: str | None
    state: str
    size: int = 10
    arrived_at: datetime = NOON
    rows: int | None = None
    rejected: int | None = None
    reason: str | None = None


@dataclass
class Ledger:
    """Answers each look with the next list; notes how it was asked."""

    looks: list[list[State]]
    asked: list[str] = field(default_factory=list)
    read: int = 0

    def newest(self, tenant, dataset=None):
        self.asked.append(f"{tenant}/{dataset}")
        for state in reversed(self.looks.pop(0)):
            self.read += 1
            yield state

    def file(self, tenant, key, version=None):
        self.asked.append(key)
        found = [state for state in self.looks[0] if state.key == key]
        if not found:
            raise NotInLedger(key)
        return found


ONE = Arrival("acme", "raw/one.csv", "v1", "transactions", 10)
TWO = Arrival("acme", "raw/two.csv", "v1", "transactions", 10)


def test_a_file_that_is_done_is_not_asked_for_again():
    ledger = Ledger([[State("raw/one.csv", "v1", "QUERYABLE", rows=3)]])
    journey = Journey([ONE])

    assert journey.look(ledger) == [ONE]
    assert journey.look(ledger) == []
    assert ledger.asked == ["raw/one.csv"]
    assert journey.is_good()


def test_of_a_long_list_only_what_is_newer_than_the_files_is_read():
    old = [State(f"raw/old{n}.csv", "v1", "QUERYABLE", arrived_at=NOON - timedelta(days=1)) for n in range(1000)]
    many = [Arrival("acme", f"raw/{n}.csv", "v1", "transactions", 10, since=NOON) for n in range(50)]
    ledger = Ledger([[*old, *(State(each.key, "v1", "QUERYABLE") for each in many)]])
    journey = Journey(many)

    journey.look(ledger)

    assert journey.is_good()
    assert ledger.read == 51


def test_one_look_serves_many_files_of_a_dataset():
    many = [Arrival("acme", f"raw/{n}.csv", "v1", "transactions", 10) for n in range(50)]
    ledger = Ledger([[State(each.key, "v1", "QUERYABLE") for each in many]])
    journey = Journey(many)

    assert journey.look(ledger) == many
    assert ledger.asked == ["acme/transactions"]


def test_a_summary_counts_the_files_by_state():
    ledger = Ledger([[State("raw/one.csv", "v1", "QUERYABLE"), State("raw/two.csv", "v1", "PROCESSING")]])
    journey = Journey([ONE, TWO])

    assert journey.look(ledger) == [ONE, TWO]
    assert journey.open() == [TWO]
    assert summary(journey) == "2 files: 1 queryable, 1 processing"


def test_an_older_version_of_the_key_does_not_count():
    journey = Journey([ONE])

    journey.look(Ledger([[State("raw/one.csv", "v0", "QUERYABLE")]]))

    assert journey.state(ONE) == "PUT"


def test_where_events_carry_no_version_an_older_arrival_of_the_key_does_not_count():
    put = replace(ONE, since=NOON + timedelta(minutes=5))
    journey = Journey([put])

    journey.look(Ledger([[State("raw/one.csv", None, "QUERYABLE")]]))
    assert journey.state(put) == "PUT"

    later = State("raw/one.csv", None, "RECEIVED", arrived_at=NOON + timedelta(minutes=6))
    journey.look(Ledger([[State("raw/one.csv", None, "QUERYABLE"), later]]))
    assert journey.state(put) == "RECEIVED"


def test_a_quarantined_file_ended_and_is_not_good():
    journey = Journey([ONE])

    journey.look(Ledger([[State("raw/one.csv", "v1", "QUARANTINED", reason="not a gzip file")]]))

    assert journey.open() == []
    assert not journey.is_good()


def test_the_way_of_a_file_reads_from_left_to_right():
    assert stages("RECEIVED") == "received"
    assert stages("PROCESSED") == "received → processing → merging"
    assert stages("QUERYABLE") == "received → processing → queryable"
    assert stages("QUARANTINED") == "received → processing → quarantined"
    assert stages("UNROUTED") == "received → unrouted"


def test_of_several_versions_of_a_key_a_known_arrival_names_one():
    known = replace(ONE, version=None, arrived=NOON)
    later = State("raw/one.csv", None, "RECEIVED", arrived_at=NOON + timedelta(minutes=6))
    journey = Journey([known])

    journey.look(Ledger([[State("raw/one.csv", None, "QUERYABLE"), later]]))

    assert journey.state(known) == "QUERYABLE"
