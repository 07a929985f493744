"""``python -m node.cli``: how a node starts another process of itself."""

from node.cli import main

if __name__ == "__main__":
    main()
