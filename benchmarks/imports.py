"""What an ordinary script imports before it starts: `python -m benchmarks.imports` does that and no more."""

import json

import benchmarks.ordinary  # noqa: F401

if __name__ == "__main__":
    print(json.dumps({}))
