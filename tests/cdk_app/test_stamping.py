"""What is stamped is what is synthesised, byte for byte."""

import hashlib
import json
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests import registries
from tests.templates import GLOBEX, PROJECT, flags, write_registry

import aws_cdk as cdk  # isort: skip  (tests.templates has told it where Node is)
from cdk_app import stamping, storage, synthesis
from cdk_app.app import build
from cdk_app.code import pack
from cdk_app.guardrails import agreed, findings
from cdk_app.holes import HoleInKey, HoleLost, HoleRefused
from cdk_app.patterns import Pattern, record_of
from cdk_app.shapes import Shape
from cdk_app.stamping import ShapeError, stamp
from cdk_app.tenant_stack import TenantStack
from cdk_app.values import Site, TenantValues
from tenants.errors import RegistryError
from tenants.registry import load

CELLS = """account: "777788889999", region: eu-central-1,
         cells: {b: {account: "777788880000", region: eu-west-1}},"""
VARIABLES = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
OWN = {"manifest.json", "tree.json", "stamped.json", "shapes.json", "failures.json"}
OF_PEOPLE = {"Tree", "aws-cdk-lib/feature-flag-report"}


@dataclass
class Stamper:
    """Stamps into `folder`, with a cache beside it."""

    folder: Path
    cache: Path
    failures: dict[str, str] = field(default_factory=dict)

    def __call__(self, registry: Path, environment: str = "prod", sources: str = "s1") -> Path:
        self.failures = stamp(
            lambda: load(registry), environment, self.folder, cache=self.cache, sources=sources, variables=VARIABLES
        )
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
        if path.name not in OWN and not path.name.endswith(".metadata.json")
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
    said = agreed(load(registry), "prod")
    for path in stamped.folder.glob("*.template.json"):
        stack = path.name.removesuffix(".template.json")
        assert list(findings(stack, json.loads(path.read_text()), said[stack])) == []


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_thousand_random_tenants_are_stamped_as_they_are_synthesised(stamped, tmp_path):
    registry = registries.write(tmp_path / "tenants", registries.tenants(1_000, seed=1_000))

    assert_same(stamped(registry), full(registry, "prod", tmp_path))


@pytest.fixture
def registry(tmp_path):
    return write_registry(tmp_path / "tenants")


@pytest.fixture
def asked(monkeypatch):
    """What was synthesised, as pairs of the datasets of each shape and whether the platform was."""
    found = []
    ask = synthesis.Synthesis.of

    def of(self, requests):
        found.extend(([shape.datasets for shape in request.shapes], request.platform) for request in requests)
        return ask(self, requests)

    monkeypatch.setattr(synthesis.Synthesis, "of", of)
    return found


def change(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_only_shapes_that_are_not_known_are_synthesised(stamped, registry, asked):
    stamped(registry)
    first = files(stamped.folder)
    assert asked == [([("orders",), ("orders", "returns")], True)]

    stamped(registry)
    assert files(stamped.folder) == first

    change(registry / "tenants.yaml", "id: acme\n", "id: zebra\n")
    change(registry / "tenants.yaml", "state: suspended", "state: active")
    change(registry / "contracts" / "orders.yaml", "required: true,", "required: true, unique: true,")
    stamped(registry)
    assert len(asked) == 1

    change(registry / "tenants.yaml", "name: returns", "name: refunds")
    stamped(registry)
    assert asked[1:] == [([("orders", "refunds")], False)]


@pytest.mark.parametrize(
    "edit",
    [
        ("contracts/orders.yaml", "LIMIT 10", "LIMIT 11"),
        ("environments.yaml", "777788889999", "777788880000"),
        ("tenants.yaml", "mycompany", "ourcompany"),
    ],
)
def test_what_a_shape_is_made_from_makes_another_one(stamped, registry, asked, tmp_path, edit):
    stamped(registry)
    file, before, after = edit
    change(registry / file, before, after)

    stamped(registry)

    assert asked[1:] == [([("orders",), ("orders", "returns")], file != "contracts/orders.yaml")]
    assert_same(stamped.folder, full(registry, "prod", tmp_path))


def test_other_sources_make_everything_again_and_what_was_made_from_the_old_ones_is_forgotten(stamped, registry, asked):
    stamped(registry, sources="s1")
    stamped(registry, sources="s2")

    assert len(asked) == 2
    assert [path.name for path in stamped.cache.iterdir()] == ["s2"]


@pytest.fixture
def filled(monkeypatch):
    """Stacks whose templates were made, in order."""
    found = []
    make = Pattern.template_of
    monkeypatch.setattr(
        Pattern, "template_of", lambda self, values: (found.append(values["stack"]), make(self, values))[1]
    )
    return found


def test_only_templates_that_are_not_there_as_they_shall_be_are_made(stamped, registry, filled, tmp_path):
    acme, europe = "mycompany-acme-prod-tenant", "mycompany-acme-eu-prod-tenant"
    stamped(registry)
    filled.clear()

    stamped(registry)
    assert filled == []
    change(registry / "tenants.yaml", "state: suspended", "state: active")
    stamped(registry)
    assert filled == [europe]
    (stamped.folder / f"{acme}.template.json").write_text("{}")
    (stamped.folder / f"{europe}.assets.json").unlink()
    stamped(registry)
    assert filled[1:] == [acme, europe]
    change(registry / "contracts" / "orders.yaml", "LIMIT 10", "LIMIT 11")
    stamped(registry)
    assert filled[3:] == [acme, europe, acme, europe]  # the first two for the guardrails

    assert_same(stamped.folder, full(registry, "prod", tmp_path))


def test_a_tenant_whose_value_does_not_fit_fails_alone(stamped, registry):
    loaded = load(registry)
    acme, europe = loaded.tenants
    odd = replace(loaded, tenants=(acme.model_copy(update={"owner": "\ud800@acme.example"}), europe))
    stamped(registry)  # so that the shape of acme is known

    failures = stamp(lambda: odd, "prod", stamped.folder, cache=stamped.cache, sources="s1", variables=VARIABLES)

    assert failures.keys() == {"acme"}
    assert "is no text of Unicode" in failures["acme"]
    assert stacks(stamped.folder) == ["mycompany-prod-platform", "mycompany-acme-eu-prod-tenant"]
    shapes = json.loads((stamped.folder / "shapes.json").read_text())
    assert list(shapes) == ["mycompany-acme-eu-prod-tenant"]


def test_a_platform_that_breaks_an_invariant_is_refused_and_not_kept(stamped, registry, asked, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(stamping, "findings", lambda stack, *_: [f"{stack}: is open"])
        with pytest.raises(ShapeError, match="mycompany-prod-platform: is open"):
            stamped(registry)
    assert not (stamped.folder / "manifest.json").exists()

    stamped(registry)

    assert asked[0] == asked[1]


def test_a_shape_that_breaks_an_invariant_is_not_kept_and_all_others_are_stamped(
    stamped, registry, asked, monkeypatch, tmp_path
):
    with monkeypatch.context() as patch:
        patch.setattr(stamping, "findings", lambda stack, *_: [f"{stack}: is open"] if "acme-eu" in stack else [])
        stamped(registry)
    said = {"acme-eu": "mycompany-acme-eu-prod-tenant: is open"}
    assert stamped.failures == said == json.loads((stamped.folder / "failures.json").read_text())
    assert stacks(stamped.folder) == ["mycompany-prod-platform", "mycompany-acme-prod-tenant"]

    stamped(registry)

    assert (stamped.failures, (stamped.folder / "failures.json").exists()) == ({}, False)
    assert asked[1:] == [([("orders", "returns")], False)]
    assert_same(stamped.folder, full(registry, "prod", tmp_path))


def test_a_shape_that_the_cdk_library_refuses_fails_alone_with_the_line_that_it_failed_in(stamped, registry):
    """Both datasets have queries b_c and c: that of `a` called b_c, and that of `a_b` called c, are named alike."""
    change(registry / "contracts" / "orders.yaml", "name: newest,", "name: c,")
    query = (registry / "contracts" / "orders.yaml").read_text().partition("value:\n")[2].partition("\n")[0] + "\n"
    change(registry / "contracts" / "orders.yaml", query, query + query.replace("name: c,", "name: b_c,"))
    two = "[{name: a, contract: orders}, {name: a_b, contract: orders}]"
    change(registry / "tenants.yaml", "[orders, {name: returns, contract: orders}]", two)

    stamped(registry)

    (why,) = stamped.failures.values()
    assert re.match(r"cdk_app/queries\.py:\d+: \w+Error: .*already a Construct with name 'Query-a_b_c'", why)
    assert stacks(stamped.folder) == ["mycompany-prod-platform", "mycompany-acme-prod-tenant"]


def stacks(folder):
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    return [name for name, each in artifacts.items() if each["type"] == "aws:cloudformation:stack"]


def test_a_registry_that_is_wrong_leaves_what_was_there_and_no_process(stamped, registry, monkeypatch):
    started = []
    init = synthesis.Synthesis.__init__
    monkeypatch.setattr(
        synthesis.Synthesis, "__init__", lambda self, variables: (started.append(self), init(self, variables))[1]
    )
    (registry / "tenants.yaml").write_text("organisation: x\n")

    with pytest.raises(RegistryError):
        stamped(registry)

    assert [each.process.returncode is None for each in started] == [False]
    assert not started[0].folder.exists()
    assert not stamped.folder.exists()


def test_files_of_tenants_that_are_gone_go_and_those_of_others_stay(stamped, registry):
    (registry / "tenants.yaml").write_text((registry / "tenants.yaml").read_text() + GLOBEX)
    stamped(registry)
    (stamped.folder / "notes.txt").write_text("mine")
    change(registry / "tenants.yaml", GLOBEX, "")

    stamped(registry)

    assert not list(stamped.folder.glob("*globex*"))
    assert (stamped.folder / "notes.txt").read_text() == "mine"


def test_a_query_that_looks_like_a_hole_fails_its_shape_by_its_name(stamped, registry, asked):
    change(registry / "contracts" / "orders.yaml", "LIMIT 10", "WHERE x = 'qzhole-bucket-qz'")

    stamped(registry)

    assert stamped.failures.keys() == {"acme", "acme-eu"}
    assert all(re.match(r"query \w*newest: holds 'qzhole'", why) for why in stamped.failures.values())
    assert asked == [([], True)]


def test_each_cell_has_its_platform_and_the_tenants_that_are_placed_in_it(stamped, registry, asked, tmp_path):
    change(registry / "environments.yaml", 'account: "777788889999", region: eu-central-1,', CELLS)
    change(registry / "tenants.yaml", "    state: suspended\n", "    state: suspended\n    cells: {prod: b}\n")

    stamped(registry)

    assert_same(stamped.folder, full(registry, "prod", tmp_path))
    assert stacks(stamped.folder) == [
        "mycompany-prod-platform",
        "mycompany-acme-prod-tenant",
        "mycompany-prod-platform-b",
        "mycompany-acme-eu-prod-tenant",
    ]
    assert asked == [([("orders",)], True), ([("orders", "returns")], True)]


@pytest.fixture
def pattern(registry, tmp_path):
    """The pattern of the first tenant's shape, made in this process so that constructs can be changed."""

    def make():
        loaded = load(registry)
        site = Site.of(loaded.organization, loaded.environment("prod"))
        shape = Shape.of(TenantValues.of(loaded.tenants[0], loaded, "prod"))
        values = shape.holed()
        app = cdk.App(outdir=str(tmp_path / "shape"), context=flags(), builtin_cloud_formation_validation=False)
        code = pack(PROJECT, tmp_path)
        TenantStack(app, f"{values.names.stack}", site=site, values=values, code=code)
        app.synth()
        return Pattern.of(record_of(tmp_path / "shape", holed=True)["texts"], site, where=shape.label)

    return make


def test_a_construct_that_decides_by_a_value_is_refused(pattern, monkeypatch):
    expiry = storage.expiry
    monkeypatch.setattr(storage, "expiry", lambda rule, prefix, days: expiry(rule, prefix, max(90, days)))

    with pytest.raises(HoleRefused, match="raw_days: a construct used"):
        pattern()


def test_a_value_that_names_a_construct_is_refused(pattern, monkeypatch):
    lake = storage.Lake.__init__

    def init(self, *given, **named):
        lake(self, *given, **named)
        cdk.CfnOutput(cdk.Stack.of(self), named["name"], value="x")

    monkeypatch.setattr(storage.Lake, "__init__", init)

    with pytest.raises(HoleInKey, match=r"shape of orders: .*Outputs / qzhole"):
        pattern()


def test_a_value_that_is_only_there_as_something_else_is_refused(pattern, monkeypatch):
    jobs = TenantValues.jobs.fget

    def hashed(self):
        return {job: hashlib.sha256(f"{name}".encode()).hexdigest() for job, name in jobs(self).items()}

    monkeypatch.setattr(TenantValues, "jobs", property(hashed))

    with pytest.raises(HoleLost, match="the template lacks job_processed_to_analytics, job_raw_to_processed"):
        pattern()
