"""The module of this folder is tested, installed or not."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
