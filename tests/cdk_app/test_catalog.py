from cdk_app.catalog import Catalog


def catalog(stack, site):
    return Catalog(
        stack,
        "Catalog",
        site=site,
        database="mycompany_acme_prod",
        bucket="mycompany-acme-prod-datalake",
        datasets=("orders", "returns"),
    )


def test_a_tenant_has_one_database_at_its_tables_zone(stack, site, found):
    catalog(stack, site)

    (database,) = found(stack, "AWS::Glue::Database")
    assert database["DatabaseInput"] == {
        "Name": "mycompany_acme_prod",
        "LocationUri": "s3://mycompany-acme-prod-datalake/analytics-ready/",
    }


def test_each_dataset_has_a_table_of_refused_rows_and_no_other_from_the_template(stack, site, found):
    catalog(stack, site)

    tables = {each["TableInput"]["Name"]: each["TableInput"] for each in found(stack, "AWS::Glue::Table")}
    assert set(tables) == {"orders_quarantine", "returns_quarantine"}
    storage = tables["orders_quarantine"]["StorageDescriptor"]
    assert storage["Location"] == "s3://mycompany-acme-prod-datalake/quarantine/orders/"
    assert [(column["Name"], column["Type"]) for column in storage["Columns"]] == [
        ("file", "string"),
        ("version", "string"),
        ("reasons", "array<string>"),
        ("record", "string"),
        ("batch", "string"),
        ("quarantined_at", "timestamp"),
    ]
    assert [key["Name"] for key in tables["orders_quarantine"]["PartitionKeys"]] == ["year", "month", "run"]
