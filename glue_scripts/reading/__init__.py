"""Raw files to rows of strings: in Spark's tasks, one file version at a time, without Spark.

A file is read whole and found sound before its first row leaves, so that a malformed file contributes nothing.
"""
