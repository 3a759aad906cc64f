import csv
import gzip
import hashlib
import io

from demo.files import generate


def digests(files):
    return {f"{each.tenant}/{each.path.name}": hashlib.sha256(each.path.read_bytes()).hexdigest() for each in files}


def test_the_same_bytes_come_out_everywhere(files, tmp_path):
    assert digests(generate(tmp_path)) == digests(files)


def test_what_is_there_is_not_written_again(files, folder):
    written = {each.path: each.path.stat().st_mtime_ns for each in files}

    assert generate(folder) == files
    assert {each.path: each.path.stat().st_mtime_ns for each in files} == written


def test_a_file_that_was_cut_short_is_written_again(files, folder):
    before = digests(files)
    files[0].path.write_bytes(b"half")

    assert digests(generate(folder)) == before


def test_the_flights_are_the_336776_of_the_package(files):
    flights = [each for each in files if each.tenant == "skyline"]

    rows = 0
    for each in flights:
        data = each.path.read_bytes()
        text = (gzip.decompress(data) if each.path.suffix == ".gz" else data).decode()
        rows += sum(1 for _ in csv.reader(io.StringIO(text))) - 1

    assert len(flights) == 12
    assert sum(each.path.suffix == ".gz" for each in flights) == 4
    assert rows == 336_776


def test_acme_sends_three_networks_over_two_months_and_one_file_late(files):
    acme = [each for each in files if each.tenant == "acme" and each.expected == "QUERYABLE"]

    names = [each.path.name for each in acme]
    assert {name.split("_")[1] for name in names} == {"1", "2", "3"}
    assert {"_".join(name.split("_")[3:5]) for name in names} == {"2024_09", "2024_10"}
    assert [each.path.name for each in files if each.last] == ["network_3_transactions_2024_09_20.csv"]


def test_one_file_is_malformed_and_one_key_belongs_to_nobody(files):
    odd = {each.key: each.expected for each in files if each.expected != "QUERYABLE"}

    assert odd == {
        "raw/transactions/network_9_transactions_2024_10_04.csv.gz": "QUARANTINED",
        "raw/no_contract_for_this.txt": "UNROUTED",
    }


def test_every_key_is_taken_by_the_contract_of_its_folder(files):
    from cli.keys import routes, taker
    from tenants.registry import load

    registry = load()
    for each in files:
        wanted = None if each.expected == "UNROUTED" else each.key.split("/")[1]
        assert taker(each.key, routes(registry, each.tenant)) == wanted, each.key
