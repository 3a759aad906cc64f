"""What is stamped is what is synthesised, byte for byte."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import registries
from tests.templates import PROJECT, flags

from cdk_app.app import build  # isort: skip  (tests.templates has told it where Node is)
from cdk_app.guardrails import findings
from cdk_app.stamping import stamp
from tenants.registry import load

VARIABLES = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
OF_PEOPLE = {"Tree", "aws-cdk-lib/feature-flag-report"}


@dataclass
class Stamper:
    """Stamps into `folder`, with a cache beside it."""

    folder: Path
    cache: Path

    def __call__(self, registry: Path, environment: str = "prod", sources: str = "s1") -> Path:
        stamp(lambda: load(registry), environment, self.folder, cache=self.cache, sources=sources, variables=VARIABLES)
        return self.folder


@pytest.fixture
def stamped(tmp_path):
    return Stamper(tmp_path / "stamped", tmp_path / "cache")


def full(registry, environment, folder):
    app = build(
        load(registry),
        environment,
        folder,
        outdir=str(folder / "full"),
        context=flags(),
        builtin_cloud_formation_validation=False,
    )
    return Path(app.synth().directory)


def manifest(folder):
    found = json.loads((folder / "manifest.json").read_text())
    found["artifacts"] = {
        name: {key: value for key, value in each.items() if key != "additionalMetadataFile"}
        for name, each in found["artifacts"].items()
        if name not in OF_PEOPLE
    }
    return found


def files(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name not in ("manifest.json", "tree.json") and not path.name.endswith(".metadata.json")
    }


def assert_same(stamped, synthesised):
    got, wanted = files(stamped), files(synthesised)
    assert sorted(got) == sorted(wanted)
    assert [name for name in wanted if got[name] != wanted[name]] == []
    assert manifest(stamped) == manifest(synthesised)
    assert list(manifest(stamped)["artifacts"]) == list(manifest(synthesised)["artifacts"])


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_the_committed_tenants_are_stamped_as_they_are_synthesised(environment, stamped, tmp_path):
    registry = PROJECT / "tenants"

    assert_same(stamped(registry, environment), full(registry, environment, tmp_path))


def test_fifty_random_tenants_are_stamped_as_they_are_synthesised(stamped, tmp_path):
    registry = registries.write(tmp_path / "tenants", registries.tenants(50))

    stamped(registry)

    assert_same(stamped.folder, full(registry, "prod", tmp_path))
    for path in stamped.folder.glob("*.template.json"):
        assert list(findings(path.name.removesuffix(".template.json"), json.loads(path.read_text()))) == []


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_thousand_random_tenants_are_stamped_as_they_are_synthesised(stamped, tmp_path):
    registry = registries.write(tmp_path / "tenants", registries.tenants(1_000, seed=1_000))

    assert_same(stamped(registry), full(registry, "prod", tmp_path))
