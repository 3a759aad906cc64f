"""What is waited for before a suspended tenant's roles are denied, and for how long."""

from datetime import timedelta

from cli.standstill import Standstill, in_flight

FIRST = "raw_to_processed"


def begin(dev, name):
    ledger = dev.connection.ledger
    dev.arrive(name)
    run = ledger.begin("acme", FIRST, "transactions", ledger.waiting("acme", "transactions", FIRST))
    return ledger.take("acme", FIRST, run, "jr_1")


def test_a_run_is_in_flight_until_it_has_ended(dev):
    assert in_flight(dev.connection.ledger, "acme") == 0

    run = begin(dev, "a.csv")
    assert (in_flight(dev.connection.ledger, "acme"), in_flight(dev.connection.ledger, "skyline")) == (1, 0)

    dev.connection.ledger.fail(run, "no such column")
    assert in_flight(dev.connection.ledger, "acme") == 0


def test_a_run_that_nobody_has_heard_of_for_long_is_not_waited_for(dev):
    begin(dev, "a.csv")
    later = dev.connection.ledger.clock() + timedelta(hours=1)
    dev.connection.ledger.clock = lambda: later

    assert in_flight(dev.connection.ledger, "acme") == 0


def test_an_errand_is_waited_for_unless_nobody_ever_took_it(dev):
    asked = dev.errands.ask("acme", "maintain", {})
    assert in_flight(dev.connection.ledger, "acme") == 1

    before = dev.connection.ledger.clock()
    dev.connection.ledger.clock = lambda: before + timedelta(hours=1)
    assert in_flight(dev.connection.ledger, "acme") == 0

    taken = dev.errands.take("acme", asked.id, "jr_1")
    assert in_flight(dev.connection.ledger, "acme") == 1
    dev.errands.finish(taken, {})
    assert in_flight(dev.connection.ledger, "acme") == 0


class Time:
    def __init__(self):
        self.at = 0.0

    def clock(self):
        return self.at

    def sleep(self, seconds):
        self.at += seconds


def standstill(ends, time, **more):
    """`ends`: when the last run of each tenant ends."""
    said = []
    made = Standstill(
        list(ends),
        lambda tenant: int(time.at < ends[tenant]),
        lambda tenant, text: said.append((time.at, tenant, text)),
        clock=time.clock,
        sleep=time.sleep,
        **{"patience": 100, "quiet": 10, "poll": 2, **more},
    )
    return made, said


def test_each_is_told_once_nothing_of_it_is_at_work_and_none_before_dispatch_has_heard():
    time = Time()
    made, said = standstill({"acme": 0, "globex": 5, "initech": 30}, time)

    assert [(time.at, still) for still in made.still()] == [(10, ["acme", "globex"]), (30, ["initech"])]
    assert said == [(10, "initech", "waiting for 1 run in flight to end")]
    assert made.waiting == []


def test_what_others_took_of_the_time_is_not_waited_again():
    time = Time()
    made, _ = standstill({"acme": 0}, time)
    time.at = 60

    assert [(time.at, still) for still in made.still()] == [(60, ["acme"])]


def test_who_does_not_end_is_given_up_and_nobody_is_waited_for_longer():
    time = Time()
    made, _ = standstill({"acme": 0, "globex": 1_000}, time)

    assert list(made.still()) == [["acme"]]

    assert (time.at, made.waiting) == (100, ["globex"])
    assert made.given_up("globex") == (
        "tenant globex: 1 run still in flight after 100 s; its files are HELD and nothing new begins, but its roles "
        "and its workgroup are as they were: nothing is lost, deploy again"
    )


def test_without_patience_there_is_still_one_look():
    time = Time()
    made, _ = standstill({"acme": 0, "globex": 1_000}, time, patience=0)

    assert list(made.still()) == [["acme"]]
    assert made.waiting == ["globex"]


def test_nobody_to_wait_for_takes_no_time():
    time = Time()
    made, _ = standstill({}, time)

    assert ([*made.still()], time.at) == ([], 0)
