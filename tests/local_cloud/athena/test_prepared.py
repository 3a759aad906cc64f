from local_cloud.athena.prepared import bind


def test_question_marks_in_text_and_comments_are_no_parameters():
    assert bind("SELECT ?, '?', \"?\" -- ?\n, ?", ["1", "'a'"]) == "SELECT 1, '?', \"?\" -- ?\n, 'a'"
