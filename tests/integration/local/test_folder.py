import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.local import clean_environment
from pipeline.local.folder import claimed


def test_a_folder_is_one_stack_s_at_a_time_and_names_who_has_it(tmp_path: Path) -> None:
    with claimed(tmp_path / "data"), pytest.raises(ConfigurationError, match=rf"in use by process {os.getpid()}:"):
        claimed(tmp_path / "data").__enter__()
    with claimed(tmp_path / "data"):
        pass


def test_a_service_that_outlives_its_supervisor_still_holds_the_folder(tmp_path: Path) -> None:
    with claimed(tmp_path) as lock:
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            pass_fds=(lock,),
        )
    with pytest.raises(ConfigurationError, match="is in use"):
        claimed(tmp_path).__enter__()
    child.communicate()
    with claimed(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="give another folder"):
        claimed(tmp_path / "file" / "data").__enter__()
