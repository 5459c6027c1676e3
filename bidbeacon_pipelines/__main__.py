"""`python -m bidbeacon_pipelines` is the command `bidbeacon`."""

from bidbeacon_pipelines.cli import main

if __name__ == "__main__":
    main()
