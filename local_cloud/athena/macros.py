"""Functions that DuckDB lacks or means differently, as SQL macros with Trino's meaning.

An error inside a macro is either `error('@KIND: text@')`, or a failing cast of 'DIVISION_BY_ZERO' where `TRY` must
be able to catch it (DuckDB does not allow `error` inside TRY).
"""

_SCIENTIFIC = """
CREATE MACRO lake_scientific(s) AS
  CASE WHEN s IS NULL THEN NULL
       WHEN s = 'nan' THEN 'NaN' WHEN s = 'inf' THEN 'Infinity' WHEN s = '-inf' THEN '-Infinity'
       WHEN s = '0.0' THEN '0.0E0' WHEN s = '-0.0' THEN '-0.0E0'
       WHEN starts_with(s, '-') THEN '-' || lake_scientific_positive(substr(s, 2))
       ELSE lake_scientific_positive(s) END
"""
_SCIENTIFIC_POSITIVE = """
CREATE MACRO lake_scientific_positive(s) AS
  CASE WHEN contains(s, 'e') THEN
         CASE WHEN contains(split_part(s, 'e', 1), '.') THEN split_part(s, 'e', 1)
              ELSE split_part(s, 'e', 1) || '.0' END || 'E' || CAST(CAST(split_part(s, 'e', 2) AS INTEGER) AS VARCHAR)
       WHEN starts_with(s, '0.') THEN
         lake_point(ltrim(substr(s, 3), '0')) || 'E-' ||
         CAST(length(s) - 2 - length(ltrim(substr(s, 3), '0')) + 1 AS VARCHAR)
       ELSE lake_point(replace(s, '.', '')) || 'E' || CAST(length(split_part(s, '.', 1)) - 1 AS VARCHAR) END
"""
_POINT = """
CREATE MACRO lake_point(digits) AS
  substr(digits, 1, 1) || '.' ||
  CASE WHEN rtrim(substr(digits, 2), '0') = '' THEN '0' ELSE rtrim(substr(digits, 2), '0') END
"""
_JAVA_DOUBLE = """
CREATE MACRO lake_java_double(s) AS
  CASE WHEN s IN ('nan', 'inf', '-inf') THEN lake_scientific(s)
       WHEN s IN ('0.0', '-0.0') THEN s
       WHEN abs(TRY_CAST(s AS DOUBLE)) >= 1e-3 AND abs(TRY_CAST(s AS DOUBLE)) < 1e7 THEN s
       ELSE lake_scientific(s) END
"""
# Milliseconds as Athena shows them; finer digits only where the value has them.
_TIMESTAMP_TEXT = """
CREATE MACRO lake_timestamp_text(t) AS
  CASE WHEN microsecond(t) % 1000 = 0 THEN strftime(t, '%Y-%m-%d %H:%M:%S.%g')
       ELSE strftime(t, '%Y-%m-%d %H:%M:%S.%f') END
"""
_TIME_TEXT = """
CREATE MACRO lake_time_text(t) AS strftime(DATE '2000-01-01' + t, '%H:%M:%S.%g')
"""
_INTERVAL_TEXT = """
CREATE MACRO lake_interval_text(i) AS
  CASE WHEN datepart('year', i) * 12 + datepart('month', i) <> 0
       THEN CAST(datepart('year', i) AS VARCHAR) || '-' || CAST(datepart('month', i) AS VARCHAR)
       ELSE CAST(datepart('day', i) + datepart('hour', i) // 24 AS VARCHAR) || ' ' ||
            lpad(CAST(datepart('hour', i) % 24 AS VARCHAR), 2, '0') || ':' ||
            lpad(CAST(datepart('minute', i) AS VARCHAR), 2, '0') || ':' ||
            lpad(CAST(datepart('second', i) AS VARCHAR), 2, '0') || '.' ||
            lpad(CAST(datepart('millisecond', i) % 1000 AS VARCHAR), 3, '0') END
"""

_INTS = "('TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UBIGINT', 'UINTEGER')"
_REALS = "('DOUBLE', 'FLOAT')"
_ZERO = "CAST('DIVISION_BY_ZERO' AS TINYINT)"
_UNSURE = (
    "CAST('@NOT_SUPPORTED: the types of a division are not known before the query runs; "
    "cast both sides to decimal(p,s) or to double@' AS TINYINT)"
)
_URL = "'^(?:([^:/?#]+):)?(?://(?:[^/?#@]*@)?([^/?#:]*)(?::([0-9]+))?)?([^?#]*)(?:[?]([^#]*))?(?:#(.*))?$'"

_NUMBERS = (
    f"""CREATE MACRO lake_integer_div(a, b) AS
      CASE WHEN typeof(a) NOT IN {_INTS} OR typeof(b) NOT IN {_INTS} THEN {_UNSURE}
           WHEN b = 0 THEN {_ZERO} ELSE a // b END""",
    """CREATE MACRO lake_double_div(a, b) AS
      CASE WHEN b <> 0 THEN CAST(a AS DOUBLE) / CAST(b AS DOUBLE)
           WHEN a > 0 THEN CAST('inf' AS DOUBLE) WHEN a < 0 THEN CAST('-inf' AS DOUBLE)
           WHEN a = 0 AND b = 0 THEN CAST('nan' AS DOUBLE) END""",
    # The list gives the result its type: what both sides have in common, without computing anything.
    f"""CREATE MACRO lake_div(a, b) AS cast_to_type(
      CASE WHEN (typeof(a) LIKE 'DECIMAL%' AND typeof(b) NOT IN {_REALS})
             OR (typeof(b) LIKE 'DECIMAL%' AND typeof(a) NOT IN {_REALS})
           THEN {_UNSURE}
           WHEN typeof(a) IN {_INTS} AND typeof(b) IN {_INTS} THEN CASE WHEN b = 0 THEN {_ZERO} ELSE a / b END
           WHEN typeof(a) IN {_REALS} OR typeof(b) IN {_REALS}
           THEN lake_double_div(TRY_CAST(a AS DOUBLE), TRY_CAST(b AS DOUBLE))
           ELSE a / b END, [a, b][1])""",
    f"CREATE MACRO lake_mod(a, b) AS CASE WHEN typeof(b) NOT IN {_REALS} AND b = 0 THEN {_ZERO} ELSE a % b END",
    """CREATE MACRO lake_rounded(n, d) AS
      CASE WHEN d = 0 THEN CAST('DIVISION_BY_ZERO' AS TINYINT)
           WHEN (n < 0) = (d < 0) THEN (2 * abs(n) + abs(d)) // (2 * abs(d))
           ELSE -((2 * abs(n) + abs(d)) // (2 * abs(d))) END""",
    f"""CREATE MACRO lake_unscaled(s, scale) AS
      CASE WHEN length(split_part(s, '.', 2)) <> scale THEN {_UNSURE} ELSE CAST(replace(s, '.', '') AS HUGEINT) END""",
    """CREATE MACRO lake_padded(q, scale) AS
      lpad(CAST(abs(q) AS VARCHAR), CAST(greatest(length(CAST(abs(q) AS VARCHAR)), scale + 1) AS INTEGER), '0')""",
    """CREATE MACRO lake_scaled(q, scale) AS
      CASE WHEN q < 0 THEN '-' ELSE '' END ||
      CASE WHEN scale = 0 THEN CAST(abs(q) AS VARCHAR)
           ELSE substr(lake_padded(q, scale), 1, length(lake_padded(q, scale)) - scale) || '.' ||
                right(lake_padded(q, scale), scale) END""",
    """CREATE MACRO lake_quotient(a, scale_a, b, scale_b, scale) AS
      lake_scaled(lake_rounded(
        lake_unscaled(a, scale_a) * CAST('1' || repeat('0', scale - scale_a + scale_b) AS HUGEINT),
        lake_unscaled(b, scale_b)), scale)""",
    """CREATE MACRO lake_avg_guard(average, one) AS
      CASE WHEN typeof(one) LIKE 'DECIMAL%'
           THEN error('@NOT_SUPPORTED: avg of a decimal whose type is not known before the query runs; '
                      || 'cast the value to decimal(p,s) or to double@')
           ELSE average END""",
    """CREATE MACRO lake_minus(a, b) AS
      CASE WHEN typeof(a) = 'DATE' AND typeof(b) = 'DATE'
           THEN error('@NOT_SUPPORTED: date minus date is not answered by the local cloud; '
                      || 'use date_diff(''day'', from, to)@')
           ELSE a - b END""",
    f"""CREATE MACRO lake_for_integer(x) AS
      CASE WHEN typeof(x) IN {_REALS} THEN cast_to_type(round(TRY_CAST(x AS DOUBLE)), x)
           WHEN typeof(x) = 'VARCHAR' AND NOT regexp_matches(CAST(x AS VARCHAR), '^[+-]?[0-9]+$')
           THEN cast_to_type(CASE WHEN typeof(x) = 'VARCHAR' THEN CAST(x AS VARCHAR) || ' is no integer' END, x)
           ELSE x END""",
    "CREATE MACRO lake_e() AS exp(1.0)",
    "CREATE MACRO lake_nan() AS CAST('nan' AS DOUBLE)",
    "CREATE MACRO lake_infinity() AS CAST('inf' AS DOUBLE)",
    "CREATE MACRO lake_to_base(n, radix) AS lower(to_base(n, radix))",
    "CREATE MACRO lake_left_shift(a, n) AS CAST(a AS BIGINT) << CAST(n AS BIGINT)",
    "CREATE MACRO lake_right_shift(a, n) AS CAST(a AS BIGINT) >> CAST(n AS BIGINT)",
    """CREATE MACRO lake_width_bucket(x, low, high, n) AS
      CASE WHEN x < low THEN 0 WHEN x >= high THEN n + 1
           ELSE CAST(floor((CAST(x AS DOUBLE) - low) / (CAST(high AS DOUBLE) - low) * n) AS BIGINT) + 1 END""",
    "CREATE MACRO lake_step(a, b) AS CASE WHEN a <= b THEN 1 ELSE -1 END",
)
_TEXTS = (
    """CREATE MACRO lake_refuse_cast(name) AS CAST('a value of type ' || name || ' to varchar' AS TINYINT)""",
    """CREATE MACRO lake_with_millis(s) AS
      CASE WHEN contains(s, '.') THEN split_part(s, '.', 1) || '.' ||
             CASE WHEN length(split_part(s, '.', 2)) <= 3 THEN rpad(split_part(s, '.', 2), 3, '0')
                  ELSE rpad(split_part(s, '.', 2), 6, '0') END
           ELSE s || '.000' END""",
    """CREATE MACRO lake_json_text(s) AS
      CASE WHEN s = 'null' THEN NULL
           WHEN starts_with(s, '"') THEN json_extract_string(s, '$')
           WHEN starts_with(s, '{') OR starts_with(s, '[') THEN
             CAST(CAST('a JSON object or array to varchar' AS TINYINT) AS VARCHAR)
           ELSE s END""",
    """CREATE MACRO lake_varchar(x) AS
      CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN lake_scientific(CAST(x AS VARCHAR))
           WHEN typeof(x) IN ('TIMESTAMP', 'TIMESTAMP_MS') THEN lake_with_millis(CAST(x AS VARCHAR))
           WHEN typeof(x) = 'TIMESTAMP WITH TIME ZONE' THEN
             lake_with_millis(replace(CAST(x AS VARCHAR), '+00', '')) || ' UTC'
           WHEN typeof(x) = 'JSON' THEN lake_json_text(CAST(x AS VARCHAR))
           WHEN typeof(x) LIKE '%]' OR typeof(x) LIKE 'MAP%' OR typeof(x) LIKE 'STRUCT%' THEN
             CAST(lake_refuse_cast(typeof(x)) AS VARCHAR)
           ELSE CAST(x AS VARCHAR) END""",
    """CREATE MACRO lake_to_iso8601(x) AS
      CASE WHEN typeof(x) = 'DATE' THEN CAST(x AS VARCHAR)
           WHEN typeof(x) = 'TIMESTAMP_S' THEN replace(CAST(x AS VARCHAR), ' ', 'T')
           WHEN typeof(x) = 'TIMESTAMP WITH TIME ZONE' THEN
             replace(lake_with_millis(replace(CAST(x AS VARCHAR), '+00', '')), ' ', 'T') || 'Z'
           ELSE replace(lake_with_millis(CAST(x AS VARCHAR)), ' ', 'T') END""",
    """CREATE MACRO lake_substr(s, i) AS
      CASE WHEN i = 0 OR abs(i) > length(s) THEN CASE WHEN s IS NULL THEN NULL ELSE '' END ELSE substr(s, i) END""",
    """CREATE MACRO lake_substr_of(s, i, n) AS
      CASE WHEN i = 0 OR n <= 0 OR abs(i) > length(s) THEN CASE WHEN s IS NULL THEN NULL ELSE '' END
           ELSE substr(s, i, n) END""",
    """CREATE MACRO lake_backrefs(s) AS
      CASE WHEN contains(s, '$') OR contains(s, '\\')
           THEN error('@NOT_SUPPORTED: regexp_replace with computed group references@') ELSE s END""",
    """CREATE MACRO lake_typeof(x) AS
      CASE WHEN typeof(x) IN ('TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'DOUBLE', 'BOOLEAN', 'DATE', 'JSON', 'UUID')
             OR typeof(x) LIKE 'DECIMAL%' THEN lower(typeof(x))
           WHEN typeof(x) = 'FLOAT' THEN 'real'
           WHEN typeof(x) = 'HUGEINT' THEN 'bigint'
           WHEN typeof(x) = 'BLOB' THEN 'varbinary'
           WHEN typeof(x) = '"NULL"' THEN 'unknown'
           ELSE
             error('@NOT_SUPPORTED: typeof of ' || lower(typeof(x)) || ' is not answered by the local cloud@') END""",
    "CREATE MACRO lake_url_decode(s) AS url_decode(replace(s, '+', ' '))",
    *(
        f"CREATE MACRO lake_url_{part}(u) AS nullif(regexp_extract(u, {_URL}, {group}), '')"
        for part, group in (("protocol", 1), ("host", 2), ("query", 5), ("fragment", 6))
    ),
    f"CREATE MACRO lake_url_path(u) AS regexp_extract(u, {_URL}, 4)",
    f"CREATE MACRO lake_url_port(u) AS CAST(nullif(regexp_extract(u, {_URL}, 3), '') AS BIGINT)",
    "CREATE MACRO lake_millisecond(t) AS millisecond(t) % 1000",
)
_COLLECTIONS = (
    """CREATE MACRO lake_at(c, i) AS
      CASE WHEN i IS NULL OR c IS NULL THEN NULL
           WHEN i = 0 THEN error('@INVALID_FUNCTION_ARGUMENT: SQL array indices start at 1@')
           WHEN i < 0 THEN
             error('@INVALID_FUNCTION_ARGUMENT: Array subscript is negative: ' || CAST(i AS VARCHAR) || '@')
           WHEN i > len(c) THEN
             error('@INVALID_FUNCTION_ARGUMENT: Array subscript must be less than or equal to array length: '
                   || CAST(i AS VARCHAR) || ' > ' || CAST(len(c) AS VARCHAR) || '@')
           ELSE list_extract(c, i) END""",
    """CREATE MACRO lake_key(m, k) AS
      CASE WHEN k IS NULL OR m IS NULL THEN NULL
           WHEN NOT list_contains(map_keys(m), k) THEN
             error('@INVALID_FUNCTION_ARGUMENT: Key not present in map: ' || CAST(k AS VARCHAR) || '@')
           ELSE m[k] END""",
    "CREATE MACRO lake_array_distinct(a) AS list_filter(a, lambda x, i: list_position(a, x) = i)",
    "CREATE MACRO lake_array_union(a, b) AS lake_array_distinct(list_concat(a, b))",
    "CREATE MACRO lake_array_intersect(a, b) AS lake_array_distinct(list_filter(a, lambda x: list_position(b, x) > 0))",
    """CREATE MACRO lake_array_position(a, x) AS
      CASE WHEN a IS NULL OR x IS NULL THEN NULL ELSE coalesce(list_position(a, x), 0) END""",
    "CREATE MACRO lake_array_remove(a, v) AS list_filter(a, lambda x: x IS DISTINCT FROM v)",
    """CREATE MACRO lake_slice(a, s, n) AS
      CASE WHEN s > 0 THEN list_slice(a, s, s + n - 1)
           WHEN s < 0 AND -s <= len(a) THEN list_slice(a, len(a) + s + 1, len(a) + s + n)
           WHEN s < 0 THEN list_slice(a, 1, 0)
           ELSE error('@INVALID_FUNCTION_ARGUMENT: SQL array indices start at 1@') END""",
    "CREATE MACRO lake_repeat(x, n) AS list_transform(range(n), lambda i: x)",
    "CREATE MACRO lake_trim_array(a, n) AS list_slice(a, 1, len(a) - n)",
    """CREATE MACRO lake_any(t) AS
      CASE WHEN t IS NULL THEN NULL WHEN list_contains(t, true) THEN true
           WHEN list_count(t) < len(t) THEN NULL ELSE false END""",
    """CREATE MACRO lake_all(t) AS
      CASE WHEN t IS NULL THEN NULL WHEN list_contains(t, false) THEN false
           WHEN list_count(t) < len(t) THEN NULL ELSE true END""",
    "CREATE MACRO lake_none(t) AS NOT lake_any(t)",
    "CREATE MACRO lake_map_agg(k, v) AS map(list(k), list(v))",
    """CREATE MACRO lake_json_scalar(j, p) AS
      CASE WHEN json_type(CAST(j AS VARCHAR), p) IN ('OBJECT', 'ARRAY') THEN NULL
           ELSE json_extract_string(CAST(j AS VARCHAR), p) END""",
    """CREATE MACRO lake_json_array_length(j) AS
      CASE WHEN json_type(CAST(j AS VARCHAR)) = 'ARRAY'
           THEN CAST(json_array_length(CAST(j AS VARCHAR)) AS BIGINT) END""",
    """CREATE MACRO lake_json_size(j, p) AS
      CASE json_type(CAST(j AS VARCHAR), p)
           WHEN 'ARRAY' THEN CAST(json_array_length(CAST(j AS VARCHAR), p) AS BIGINT)
           WHEN 'OBJECT' THEN len(json_keys(CAST(j AS VARCHAR), p))
           ELSE CASE WHEN json_type(CAST(j AS VARCHAR), p) IS NULL THEN NULL ELSE 0 END END""",
    "CREATE MACRO lake_is_json_scalar(j) AS json_type(CAST(j AS VARCHAR)) NOT IN ('OBJECT', 'ARRAY')",
)

MACROS: tuple[str, ...] = (
    _POINT,
    _SCIENTIFIC_POSITIVE,
    _SCIENTIFIC,
    _JAVA_DOUBLE,
    _TIMESTAMP_TEXT,
    _TIME_TEXT,
    _INTERVAL_TEXT,
    *_NUMBERS,
    *_TEXTS,
    *_COLLECTIONS,
)
