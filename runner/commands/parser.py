"""The argument parser of every command: a wrong argument is a configuration error."""

from __future__ import annotations

import argparse
from typing import NoReturn

from scenejobs.errors import Code, ConfigurationError


class Parser(argparse.ArgumentParser):
    """Raises where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(message, code=Code.INVALID_SETTING, advice=f"see {self.prog} --help")
