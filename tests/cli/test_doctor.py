import json

from typer.testing import CliRunner

from cli.app import app
from local_cloud.blind_spots import BLIND_SPOTS
from local_cloud.state import PROJECT


def test_doctor_lists_every_right_that_the_local_cloud_does_not_check():
    shown = CliRunner().invoke(app, ["doctor"]).stdout
    listed = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["unchecked_rights"]

    assert [each["name"] for each in listed] == [spot.name for spot in BLIND_SPOTS]
    assert all(spot.locally in shown for spot in BLIND_SPOTS)


def test_the_docs_have_the_same_list():
    page = (PROJECT / "docs" / "local_cloud.md").read_text(encoding="utf-8")
    rows = [f"| {spot.right} | {spot.locally} | {spot.held_by} |" for spot in BLIND_SPOTS]

    assert "\n".join(rows) + "\n\n" in page
