"""Spark SQL text: names and values quoted so that no contract can break out, and expressions checked word by word.

Spark replaces `${env:NAME}` in every text it parses, also inside quotes, and offers functions that call Java; so a
dollar never stands before a brace, and an expression may use the functions listed here and no others.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tenants.document import nearest

__all__ = ["expression_problems", "identifier", "is_identifier", "literal"]


LONGEST = 10_000  # characters of an expression


def identifier(name: str) -> str:
    """`name` in backticks; raises ValueError for a name that Spark would not take as it stands."""
    if not is_identifier(name):
        raise ValueError(f"{name!r} cannot be a column name")
    return "`" + name.replace("`", "``") + "`"


def is_identifier(name: str) -> bool:
    """Whether Spark takes `name` as it stands, in backticks."""
    return bool(name) and name.isprintable() and "${" not in name


def literal(text: str) -> str:
    r"""`text` as a Spark string literal: `it's` becomes `'it\'s'`."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0").replace("${", "\\u0024{")
    return f"'{escaped}'"


TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<comment>--|/\*)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<quoted>`(?:[^`]|``)+`)
    |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?:[lLdDfFsSyY]|bd|BD)?(?![A-Za-z0-9_]))
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<operator>->|=>|<=>|<>|!=|<=|>=|\|\||[-+*/%=<>!|&^~(),.\[\]])""",
    re.VERBOSE | re.DOTALL,
)

KEYWORD_WORDS = (
    "and array as between bigint boolean both case cast date day days decimal distinct div double else end "
    "escape false float for from hour hours ilike in int integer interval is leading like long map minute "
    "minutes month months not null numeric or quarter regexp rlike second seconds string struct then "
    "timestamp trailing true try_cast unknown week weeks when year years "
)
KEYWORDS = frozenset(KEYWORD_WORDS.split())

# Of one row, deterministic, the same in Spark 3.5 and 4: a re-run must write the same rows.
FUNCTION_WORDS = (
    "abs acos add_months array array_compact array_contains array_distinct array_except array_intersect "
    "array_join array_max array_min array_position array_remove array_repeat array_size array_sort "
    "array_union arrays_overlap arrays_zip ascii asin atan atan2 base64 bigint bit_length bround btrim "
    "cardinality cast cbrt ceil ceiling char char_length character_length chr coalesce concat concat_ws "
    "contains conv cos crc32 date date_add date_diff date_format date_from_unix_date date_sub date_trunc "
    "dateadd datediff day dayofmonth dayofweek dayofyear decimal decode degrees double element_at elt encode "
    "endswith equal_null exists exp extract filter find_in_set flatten float floor forall format_number "
    "format_string from_json from_unixtime from_utc_timestamp get get_json_object greatest hash hex hour "
    "hypot if ifnull initcap instr int isnan isnotnull isnull json_array_length json_object_keys last_day "
    "lcase least left length levenshtein ln locate log log10 log1p log2 lower lpad ltrim make_date "
    "make_interval make_timestamp map map_concat map_contains_key map_entries map_filter map_from_arrays "
    "map_from_entries map_keys map_values md5 minute mod month months_between named_struct nanvl negative "
    "next_day nullif nvl nvl2 octet_length overlay parse_url pi pmod position positive pow power quarter "
    "radians regexp_count regexp_extract regexp_extract_all regexp_instr regexp_like regexp_replace "
    "regexp_substr repeat replace reverse right rint round rpad rtrim second sequence sha sha1 sha2 shiftleft "
    "shiftright sign signum sin size slice sort_array soundex split split_part sqrt startswith string struct "
    "substr substring substring_index tan timestamp timestamp_micros timestamp_millis timestamp_seconds "
    "to_json to_utc_timestamp transform translate trim trunc try_add try_cast try_divide try_element_at "
    "try_multiply try_subtract ucase unbase64 unhex unix_date unix_micros unix_millis unix_seconds upper "
    "url_decode url_encode weekday weekofyear width_bucket xxhash64 year zip_with "
)
FUNCTIONS = frozenset(FUNCTION_WORDS.split())


@dataclass
class _Token:
    kind: str
    text: str
    start: int


@dataclass
class _Reader:
    """The tokens of an expression, and what is wrong with them."""

    text: str
    tokens: list[_Token] = field(default_factory=list)
    problem: str = ""

    def read(self) -> "_Reader":
        position = 0
        while position < len(self.text) and not self.problem:
            match = TOKEN.match(self.text, position)
            if match is None or match.lastgroup is None:
                self.problem = f"{self.text[position]!r} at character {position + 1} is not allowed in an expression"
                return self
            self._take(_Token(match.lastgroup, match[0], position))
            position = match.end()
        return self

    def _take(self, token: _Token) -> None:
        last = self.tokens[-1] if self.tokens else None
        if token.kind == "comment":
            self.problem = "comments are not allowed in an expression"
        elif token.kind == "string" and "${" in token.text:
            self.problem = "'${' is not allowed in an expression"
        elif token.kind == "string" and last and last.text in ("r", "R") and last.start == token.start - 1:
            self.problem = "raw strings are not allowed in an expression"
        elif token.kind != "space":
            self.tokens.append(token)


def expression_problems(text: str, columns: Iterable[str]) -> Iterator[str]:
    """What keeps `text` from being an expression over `columns` of one row."""
    if len(text) > LONGEST:
        yield f"is longer than {LONGEST:,} characters"
        return
    reader = _Reader(text).read()
    if reader.problem or not reader.tokens:
        yield reader.problem or "is empty; expected an expression over columns"
        return
    yield from _bracket_problems(reader.tokens)
    yield from _word_problems(reader.tokens, {name.lower() for name in columns})


def _bracket_problems(tokens: list[_Token]) -> Iterator[str]:
    opened: list[str] = []
    for token in tokens:
        if token.text in ("(", "["):
            opened.append(token.text)
        elif token.text in (")", "]") and (not opened or opened.pop() + token.text not in ("()", "[]")):
            yield f"{token.text!r} at character {token.start + 1} closes nothing"
            return
    if opened:
        yield f"{opened[-1]!r} is never closed"


def _word_problems(tokens: list[_Token], columns: set[str]) -> Iterator[str]:
    ends = [*tokens[1:], _Token("end", "", 0)]
    parameters = _lambda_parameters(tokens)
    for previous, token, following in zip([_Token("start", "", 0), *tokens], tokens, ends, strict=False):
        if token.kind not in ("word", "quoted") or previous.text == ".":
            continue  # a field of a struct is the struct's own
        word = token.text.strip("`").replace("``", "`").lower()
        if token.kind == "word" and following.text == "(":
            if word not in FUNCTIONS and word not in KEYWORDS:
                hint = next(iter(difflib.get_close_matches(word, FUNCTIONS, n=1, cutoff=0.75)), None)
                known = f"; did you mean {hint!r}?" if hint else ""
                yield f"function {token.text} is not one that a contract may use (of one row, deterministic){known}"
        elif word in columns or word in parameters or (token.kind == "word" and word in KEYWORDS):
            continue
        else:
            yield f"no column {token.text} to compute with{nearest(word, columns)}"


def _lambda_parameters(tokens: list[_Token]) -> set[str]:
    """Names before `->`: `x -> …` and `(a, b) -> …`."""
    names: set[str] = set()
    for position, token in enumerate(tokens):
        if token.text != "->" or not position:
            continue
        if tokens[position - 1].text != ")":
            names.add(tokens[position - 1].text.lower())
            continue
        back = position - 2
        while back >= 0 and tokens[back].text != "(":
            names.add(tokens[back].text.lower())
            back -= 1
    return names
