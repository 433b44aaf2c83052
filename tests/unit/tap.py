# SPDX-License-Identifier: Apache-2.0
"""A test program's functions, run one after the other: TAP on stdout."""

import sys

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def run_tests(before=lambda: None):
    """Ends the program. before() is called before each test."""
    failed = 0
    print(f"1..{len(TESTS)}")
    for number, function in enumerate(TESTS, 1):
        before()
        try:
            function()
            print(f"ok {number} - {function.__name__}", flush=True)
        except Exception as error:  # a failed check, or what it ran broke
            failed += 1
            print(f"not ok {number} - {function.__name__}\n# {type(error).__name__}: {error}", flush=True)
    sys.exit(bool(failed))
