from datetime import UTC, datetime

from glue_scripts.reading.source import Source
from glue_scripts.zones import MB, in_packets

ARRIVED = datetime(2024, 9, 20, tzinfo=UTC)


def sources(*sizes: int, suffix: str = ".csv") -> list[Source]:
    return [
        Source(index=i, key=f"raw/{i}{suffix}", version="v", size=size, etag="e", arrived_at=ARRIVED)
        for i, size in enumerate(sizes)
    ]


def shape(packets) -> list[list[int]]:
    return [[source.index for source in packet] for packet in packets]


def test_a_few_small_files_are_one_task():
    assert shape(in_packets(sources(1000, 2000, 3000), cores=2)) == [[0, 1, 2]]


def test_a_thousand_tiny_files_are_spread_over_the_cores():
    packets = in_packets(sources(*[200] * 1000), cores=2)

    assert [len(packet) for packet in packets] == [500, 500]


def test_packets_keep_the_order_of_arrival_and_lose_no_file():
    packets = in_packets(sources(*[20 * MB] * 10), cores=8)

    assert [index for packet in shape(packets) for index in packet] == list(range(10))
    assert len(packets) == 7


def test_tasks_grow_before_they_outnumber_the_cores_too_far():
    assert len(in_packets(sources(*[50 * MB] * 20), cores=2)) == 8


def test_packed_files_weigh_what_they_hold():
    assert len(in_packets(sources(30 * MB, 30 * MB, suffix=".csv.gz"), cores=8)) == 2
