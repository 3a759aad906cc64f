from cli.query import Answer, typed

ANSWER = Answer(
    columns=(
        ("carrier", "varchar"),
        ("flights", "bigint"),
        ("delay", "double"),
        ("fee", "decimal"),
        ("late", "boolean"),
    ),
    rows=[("UA", "58665", "3.5", "12.30", "true"), (None, None, "NaN", None, "false")],
)


def test_numbers_are_numbers_and_decimals_keep_their_digits():
    assert ANSWER.objects() == [
        {"carrier": "UA", "flights": 58665, "delay": 3.5, "fee": "12.30", "late": True},
        {"carrier": None, "flights": None, "delay": "NaN", "fee": None, "late": False},
    ]


def test_null_is_an_empty_csv_field():
    assert ANSWER.as_csv() == "carrier,flights,delay,fee,late\nUA,58665,3.5,12.30,true\n,,NaN,,false\n"


def test_a_type_with_parameters_is_known_by_its_name():
    assert typed("1.5", "decimal(18,2)") == "1.5"
    assert typed("7", "INTEGER") == 7
