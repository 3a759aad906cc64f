"""The functions of Athena's SQL that are answered; every other one is refused by name.

`PLAIN` are node classes that sqlglot writes for DuckDB with the meaning they have in Trino, `RENAMED` are functions
that it does not know and that DuckDB (or a macro) has under the given name.
"""

PLAIN = frozenset(
    """
    Abs Acos AnyValue ApproxDistinct ApproxQuantile ArgMax ArgMin Array ArrayAgg ArrayContains ArrayExcept
    ArrayFilter ArrayMax ArrayMin ArraySize ArraySlice ArrayToString Asin Atan Atan2 Avg BitwiseAndAgg BitwiseOrAgg
    Case Cast Cbrt Ceil Chr Coalesce Concat ConcatWs Corr Cos Cosh Count CountIf CovarPop CovarSamp CumeDist
    CurrentDate CurrentTimestamp Date DateAdd DateDiff DateTrunc Day DayOfMonth DayOfWeekIso DayOfYear Decode
    Degrees DenseRank Encode Exists Exp Extract FirstValue Flatten Floor Format FromBase64 FromISO8601Date
    FromISO8601Timestamp GenerateSeries Greatest GroupConcat Grouping Hex Hour If IsNan JSONExtract
    JSONExtractScalar JSONFormat Lag LastDay LastValue Lead Least Length Levenshtein Ln Localtimestamp Log
    LogicalAnd LogicalOr Lower MD5Digest Map MapFromEntries MapKeys Max Min Minute Month NthValue Ntile Nullif Pad
    ParseJSON PercentRank Pi Pow Quarter Radians Rand Rank Reduce RegexpCount RegexpExtract RegexpExtractAll
    RegexpLike RegexpReplace RegexpSplit RegrIntercept RegrSlope Repeat Replace Reverse Round RowNumber SHA
    SHA2Digest Second Sign Sin Split SplitPart Sqrt StartsWith Stddev StddevPop StddevSamp StrPosition StrToTime
    Struct Substring Sum Tan Tanh TimeToStr TimeToUnix TimestampTrunc ToBase64 Transform Translate Trim Trunc Try
    TryCast Typeof Unhex Unnest UnixToTime Upper Uuid Variance VariancePop WeekOfYear Year YearOfWeek
    WidthBucket ArrayDistinct ArrayIntersect ArrayPosition ArrayRemove ArraySort And Or Xor Not Paren Row Initcap
    """.split()  # noqa: SIM905  a hundred names read better as words
)
RENAMED = {
    "array_union": "lake_array_union",
    "arrays_overlap": "list_has_any",
    "bitwise_left_shift": "lake_left_shift",
    "bitwise_right_shift": "lake_right_shift",
    "codepoint": "unicode",
    "e": "lake_e",
    "every": "bool_and",
    "geometric_mean": "geometric_mean",
    "histogram": "histogram",
    "infinity": "lake_infinity",
    "is_finite": "isfinite",
    "is_infinite": "isinf",
    "json_array_length": "lake_json_array_length",
    "map_agg": "lake_map_agg",
    "map_concat": "map_concat",
    "map_entries": "map_entries",
    "map_values": "map_values",
    "millisecond": "lake_millisecond",
    "nan": "lake_nan",
    "to_base": "lake_to_base",
    "to_iso8601": "lake_to_iso8601",
    "trim_array": "lake_trim_array",
    "url_decode": "lake_url_decode",
    "url_extract_host": "lake_url_host",
    "url_extract_path": "lake_url_path",
    "url_extract_port": "lake_url_port",
    "url_extract_protocol": "lake_url_protocol",
    "url_extract_query": "lake_url_query",
    "url_extract_fragment": "lake_url_fragment",
    "is_json_scalar": "lake_is_json_scalar",
    "json_size": "lake_json_size",
    "grouping": "grouping",
    "all_match": "",
    "any_match": "",
    "none_match": "",
    "map_filter": "",
    "transform_keys": "",
    "transform_values": "",
    "at_timezone": "",
    "row": "row",
    "lower": "lower",
    "approx_percentile": "approx_quantile",
    "yow": "isoyear",
}
