"""``python -m node.cli``: the command line, as a node starts further processes of its own."""

from node.cli import main

if __name__ == "__main__":
    main()
