"""`python -m respsel` is the same program as `respsel`."""

from respsel.cli import main

if __name__ == "__main__":
    main()
