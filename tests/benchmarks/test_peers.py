"""The peer of a benchmark does the same work: its templates are ours."""

import json
import subprocess

from benchmarks import peers
from tests.templates import PROJECT, flags, write_registry

from cdk_app.app import build  # isort: skip  (tests.templates has told it where Node is)
from cdk_app.code import pack  # isort: skip
from tenants.registry import load  # isort: skip


def templates(folder):
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*-tenant.template.json")}


def test_the_app_in_typescript_synthesises_the_templates_of_the_app_in_python(tmp_path):
    registry = load(write_registry(tmp_path / "tenants"))
    options = {"outdir": str(tmp_path / "python"), "context": flags(), "builtin_cloud_formation_validation": False}
    build(registry, "prod", tmp_path, **options).synth()
    peers.install(tmp_path / "app")
    asked = peers.request(registry, "prod", pack(PROJECT, tmp_path))

    subprocess.run(
        peers.command(tmp_path / "app"),
        input=asked,
        text=True,
        check=True,
        env=peers.variables(tmp_path / "typescript", validated=False),
    )

    assert sorted(templates(tmp_path / "python")) == [
        "mycompany-acme-eu-prod-tenant.template.json",
        "mycompany-acme-prod-tenant.template.json",
    ]
    assert templates(tmp_path / "typescript") == templates(tmp_path / "python")
