"""`python -m lptpp` runs the command line."""

from lptpp.cli import main

main()
