"""``python -m node.cli``: how a node starts another of its own processes."""

from node.cli import main

if __name__ == "__main__":
    main()
