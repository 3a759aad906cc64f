from ingestion import findings
from ingestion.findings import Findings, Report


def test_all_are_counted_and_the_first_thousand_named():
    found = Findings()
    for number in range(1_200):
        found.add(key=f"raw/{number}")

    assert (found.count, len(found.entries)) == (1_200, 1_000)
    assert found.entries[0] == {"key": "raw/0"}


def test_what_would_not_fit_into_an_answer_is_only_counted(monkeypatch):
    monkeypatch.setattr(findings, "MOST_BYTES", 110)
    found = Findings()
    for _ in range(3):
        found.add(key="x" * 40)

    assert (found.count, len(found.entries)) == (3, 2)


def test_a_report_that_came_to_the_end_is_not_truncated():
    report = Report(tenant="acme", dry_run=False)

    assert (report.as_json()["truncated"], report.as_json()["resume"]) == (False, None)
    report.resume = "raw/m"
    assert (report.as_json()["truncated"], report.as_json()["resume"]) == (True, "raw/m")
