"""``python -m neuromem``: the command line."""

from neuromem.cli.main import main

if __name__ == "__main__":
    main()
