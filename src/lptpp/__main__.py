"""`python -m lptpp` is the command line."""

from lptpp.cli import main

main()
