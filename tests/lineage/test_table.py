from lineage import items, table
from lineage.values import new_run_id


def test_the_index_projects_no_more_attributes_than_dynamodb_allows():
    assert len(table.INDEX_PROJECTION) <= 20
    assert len(set(table.INDEX_PROJECTION)) == len(table.INDEX_PROJECTION)


def test_every_projected_attribute_exists_on_a_model():
    known = {attribute.attr_name for model in (items.Claim, items.Run) for attribute in model.get_attributes().values()}
    assert set(table.INDEX_PROJECTION) <= known


def test_a_file_is_found_by_hashing_its_name():
    assert table.file_id("raw/sales/a.csv") == table.file_id("raw/sales/a.csv")
    assert len(table.file_id("raw/sales/a.csv")) == 20
    assert table.file_id("raw/sales/a.csv") != table.file_id("raw/sales/A.csv")


def test_two_versions_of_a_key_are_two_versions():
    assert table.version_id("raw/a.csv", "v1") != table.version_id("raw/a.csv", "v2")


def test_without_a_version_id_etag_and_size_tell_versions_apart():
    assert table.version_id("raw/a.csv", None, "e1", 10) != table.version_id("raw/a.csv", None, "e2", 10)
    assert table.version_id("raw/a.csv", None, "e1", 10) != table.version_id("raw/a.csv", None, "e1", 11)
    assert table.version_id("raw/a.csv", "null", "e1", 10) == table.version_id("raw/a.csv", None, "e1", 10)


def test_what_is_written_once_is_one_node_with_and_without_its_version_id():
    key = "processed/sales/_commits/4f2a.json"
    assert table.node_id(key, "v1") == table.node_id(key, None, "e1", 10)


def test_everything_a_tenants_roles_touch_lies_under_the_tenants_prefix():
    prefix = table.TENANT_PREFIX.format(tenant="acme")
    keys = [
        table.tenant_pk("acme"),
        table.file_pk("acme", "f"),
        table.job_pk("acme", "j"),
        table.run_pk("acme", "r"),
        table.dataset_pk("acme", "sales"),
        table.dataset_pk("acme", None),
        table.slots_pk("acme"),
        table.graph_pk("acme"),
    ]
    assert all(key.startswith(prefix) for key in keys)
    assert not table.tenant_pk("acme2").startswith(prefix)


def test_what_the_platform_says_of_a_dataset_lies_where_the_tenants_jobs_may_not_write():
    assert table.description_pk("acme", "sales").startswith(table.tenant_pk("acme"))
    assert not any(
        key(*names).startswith(table.tenant_pk("acme"))
        for key, names in {table.dataset_pk: ("acme", "META"), table.job_pk: ("acme", "META")}.items()
    )


def test_the_fleets_keys_lie_under_no_tenants_prefix():
    assert not any(key.startswith("T#") for key in (table.FLEET, table.bucket_pk("b"), table.glue_job_pk("j")))


def test_runs_are_spread_over_all_shards():
    shards = {table.open_pk(new_run_id()) for _ in range(1000)}
    assert shards == {f"OPEN#{shard}" for shard in range(table.SHARDS)}
