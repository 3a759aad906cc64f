def test_an_array_of_objects_is_one_row_each(read):
    assert read(b'[{"id": 1, "name": "Ada"},\n {"id": 2, "name": null}]', "raw/a.json") == (
        [("1", "Ada"), ("2", None)],
        [],
    )


def test_a_single_object_over_several_lines_is_one_row(read):
    assert read(b'{\n "id": 1,\n "name": "Ada"\n}\n', "raw/a.json") == ([("1", "Ada")], [])


def test_a_json_file_with_an_object_per_line_is_read_line_by_line(read):
    assert read(b'{"id": 1}\n{"id": 2}\n', "raw/a.json") == ([("1", None), ("2", None)], [])


def test_numbers_keep_their_digits(read):
    content = b'{"id": 1.10, "name": 123456789012345678901234567890}\n{"id": 1e3, "name": -0.0}\n'

    assert read(content, "raw/a.ndjson")[0] == [("1.10", "123456789012345678901234567890"), ("1e3", "-0.0")]


def test_nested_values_stay_json_text(read):
    content = b'{"id": true, "name": {"first": "Ad\\u00e9", "marks": [1.50, null, {"x": false}]}}'

    assert read(content, "raw/a.jsonl")[0] == [("true", '{"first":"Adé","marks":[1.50,null,{"x":false}]}')]


def test_a_broken_line_is_rejected_and_the_others_go_on(read):
    rows, problems = read(b'{"id": 1}\n{"id": 2\n[3]\n\n{"id": NaN}\n{"id": 4}\n', "raw/a.ndjson")

    assert rows == [("1", None), ("4", None)]
    assert [(about, original) for about, _, original in problems] == [
        ("row", '{"id": 2'),
        ("row", "[3]"),
        ("row", '{"id": NaN}'),
    ]
    assert problems[1][1] == "not a JSON object"


def test_half_a_surrogate_pair_is_rejected_with_its_row(read):
    rows, problems = read(b'{"id": 1, "name": "\\ud83d"}\n{"id": 2}\n', "raw/a.ndjson")

    assert rows == [("2", None)]
    assert "surrogate" in problems[0][1]


def test_a_document_that_is_no_json_makes_the_file_malformed(read):
    rows, problems = read(b'[{"id": 1}, {"id": 2]', "raw/a.json")

    assert rows == []
    assert problems[0][0] == "file"
    assert problems[0][1].startswith("not valid JSON: ")


def test_a_document_nested_beyond_reason_makes_the_file_malformed(read):
    rows, problems = read(b"[" * 100_000, "raw/a.json")

    assert rows == []
    assert problems[0][0] == "file"
