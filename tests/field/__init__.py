"""Inputs as users bring them, each with what is expected of it.

Each module holds a tuple `CASES` of objects with a `name` and `check(folder)`, mostly those of `field.case`; the runner
is tests/integration/third_party/test_field_cases.py. Files are made on the fly in `folder`, which is empty.
"""
