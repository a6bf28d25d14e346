"""`python -m gateway.cli` is `watchgate`."""

from gateway.cli import main

main()
