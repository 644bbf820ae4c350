"""`python -m tasktrail`."""

from tasktrail.cli import main

if __name__ == "__main__":
    main()
