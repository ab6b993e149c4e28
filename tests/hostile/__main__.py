"""`make hostile`: the sample with each variable of other programs alone, compared with a run without any."""

import sys
import tempfile
from pathlib import Path

from tests.hostile.environment import run, table


def main() -> int:
    """Print a line for each variable; return 1 if any of them changed what came of the sample."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="pipeline-hostile-") as folder:
        expected = run({}, Path(folder) / "without")
        for number, (name, value) in enumerate((one for row, _ in table() for one in row.items()), start=1):
            try:
                is_same = run({name: value}, Path(folder) / str(number)) == expected
            except Exception as error:  # noqa: BLE001  (the others are tried as well)
                print(f"{name}={value}: {type(error).__name__}: {error}")  # noqa: T201
                is_same = False
            print(f"{name}={value}: {'as without' if is_same else 'NOT as without'}", flush=True)  # noqa: T201
            wrong += not is_same
    return min(wrong, 1)


sys.exit(main())
