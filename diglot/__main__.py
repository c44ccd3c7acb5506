"""`python -m diglot` is the `diglot` command."""

from .cli import main

main()
