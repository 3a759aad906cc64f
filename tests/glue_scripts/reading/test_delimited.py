import io

import pytest

from glue_scripts.reading import delimited
from glue_scripts.reading.source import Layout


def test_columns_are_found_by_the_header_and_not_by_their_order(read):
    assert read(b"name,id\nAda,1\n") == ([("1", "Ada")], [])


def test_the_words_for_nothing_become_null(read):
    rows, _ = read(b'id,name\n1,NULL\n2,\n3,""\n4,Null\n')

    assert rows == [("1", None), ("2", None), ("3", None), ("4", "Null")]


def test_a_byte_order_mark_is_no_part_of_the_first_column(read):
    assert read(b"\xef\xbb\xbfid,name\n1,Ada\n") == ([("1", "Ada")], [])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(read, end):
    assert read(f"id,name{end}1,Ada{end}2,Bob".encode()) == ([("1", "Ada"), ("2", "Bob")], [])


def test_empty_lines_are_no_rows(read):
    assert read(b"\nid,name\n\n1,Ada\n\n\n2,Bob\n\n") == ([("1", "Ada"), ("2", "Bob")], [])


def test_a_file_with_a_header_alone_has_no_rows_and_no_problem(read):
    assert read(b"id,name\n") == ([], [])


def test_a_row_with_too_many_or_too_few_fields_is_kept_as_it_came(read):
    rows, problems = read(b"id,name\n1,Ada\n2\n3,Cy,x\n4,Dee\n")

    assert rows == [("1", "Ada"), ("4", "Dee")]
    assert problems == [
        ("row", "1 fields where the header has 2", "2"),
        ("row", "3 fields where the header has 2", "3,Cy,x"),
    ]


def test_a_quoted_value_may_hold_delimiters_quotes_and_line_ends(read):
    rows, problems = read(b'id,name\n1,"Ada, Countess"\n2,"the ""Bob"""\n3,"two\nlines"\n4,"\r\nthree\r\n"\n5,Eve\n')

    assert problems == []
    assert rows == [
        ("1", "Ada, Countess"),
        ("2", 'the "Bob"'),
        ("3", "two\nlines"),
        ("4", "\r\nthree\r\n"),
        ("5", "Eve"),
    ]


def test_a_quote_that_is_not_closed_costs_its_own_line_only(read):
    rows, problems = read(b'id,name\n1,"Ada\n2,Bob\n3,"Cy"\n4,Dee\n')

    assert rows == [("2", "Bob"), ("3", "Cy"), ("4", "Dee")]
    assert problems == [("row", "a quote is not closed", '1,"Ada')]


def test_two_lines_with_a_broken_quote_each_do_not_make_a_record_of_what_lies_between(read):
    rows, problems = read(b'id,name\n1,"Ada\n2,Bob\n3,"Cy\n4,Dee\n')

    assert rows == [("2", "Bob"), ("4", "Dee")]
    assert [problem[2] for problem in problems] == ['1,"Ada', '3,"Cy']


def test_text_after_a_closing_quote_is_a_broken_row(read):
    rows, problems = read(b'id,name\n1,"Ada"x\n2,Bob\n')

    assert rows == [("2", "Bob")]
    assert problems[0][0] == "row"
    assert "quotes are broken" in problems[0][1]
    assert problems[0][2] == '1,"Ada"x'


def test_quotes_inside_an_unquoted_value_are_text(read):
    assert read(b'id,name\n1,5" pipe 6" long\n2,Bob\n') == ([("1", '5" pipe 6" long'), ("2", "Bob")], [])


def test_the_delimiter_and_the_quote_are_the_contracts(read):
    assert read(b"id;name\n1;'a;b'\n", delimiter=";", quote="'") == ([("1", "a;b")], [])


def test_without_a_quote_character_quotes_are_text(read):
    assert read(b'id,name\n1,"Ada\n', quote="") == ([("1", '"Ada')], [])


def test_text_in_another_encoding_is_decoded(read):
    assert read("id,name\n1,Zoë\n".encode("latin-1"), encoding="ISO-8859-1") == ([("1", "Zoë")], [])


def test_a_header_without_a_required_column_makes_the_file_malformed(read):
    rows, problems = read(b"nr,name\n1,Ada\n")

    assert rows == []
    assert problems == [("file", "the header lacks id; it has: nr, name", None)]


def test_a_header_that_names_a_column_twice_makes_the_file_malformed(read):
    assert read(b"id,id\n1,2\n") == ([], [("file", "the header names a column twice: id", None)])


def test_columns_the_contract_does_not_have_are_left_out_and_told(read):
    rows, problems = read(b"id,colour,name,colour\n1,red,Ada,blue\n")

    assert rows == [("1", "Ada")]
    assert problems == [("note", "columns that the contract does not have are left out: colour, colour", None)]


def test_a_column_that_is_not_required_may_be_missing(read):
    assert read(b"id\n1\n") == ([("1", None)], [])


def test_blocks_break_between_records_wherever_they_fall(monkeypatch):
    text = "id,name\n" + "".join(f'{i},"line {i}\nand {i % 7} more"\n{i},plain\n' for i in range(300))
    layout = Layout(
        columns=("id", "name"), required=("id",), delimiter=",", quote='"', encoding="UTF-8", null_values=("",)
    )
    monkeypatch.setattr(delimited, "BLOCK", 100)

    taken = list(delimited.rows(io.BytesIO(text.encode()), layout))

    assert not any(rows.problems for rows in taken)
    assert [name for rows in taken for name in rows.columns[1].to_pylist()] == [
        name for i in range(300) for name in (f"line {i}\nand {i % 7} more", "plain")
    ]


def test_a_line_that_never_ends_makes_the_file_malformed(read, monkeypatch):
    monkeypatch.setattr(delimited, "LONGEST_LINE", 1000)
    monkeypatch.setattr(delimited, "BLOCK", 100)

    rows, problems = read(b"id,name\n1,Ada\n2," + b"x" * 5000)

    assert rows == []
    assert problems[0][0] == "file"
