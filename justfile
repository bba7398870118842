# What there is to run; `just` alone lists it.

default:
    @just --list

# Lint, format and types, as CI checks them.
check:
    ruff check .
    ruff format --check .
    mypy
    mypy --platform win32 dgqa_infer

# The tests that take about a minute together.
fast:
    pytest -m "not slow and not long and not ray"

# All tests but the longest, `just test -m long`, and those that start a Ray cluster, `just test -m ray -n 0`.
test *options:
    pytest {{ options }}

# Write the command-line reference anew.
docs:
    python -m typer dgqa_infer.cli.app utils docs --name dgqa-infer --title 'Command-line reference' --output docs/cli.md

# Run a program that measures; without a name, list them.
bench *arguments:
    python -m benchmarks {{ arguments }}
