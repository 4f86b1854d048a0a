"""`python -m minidalle` is `minidalle`."""

from minidalle.cli import main

if __name__ == "__main__":
    main()
