"""Pins to the lower bounds in settings.ini, as constraints for pip.

    python tools/lower_bounds.py requirements offline_requirements > lower.txt

Each `name>=1.2` becomes `name==1.2`; a bound that is none, such as `name<2`, stays as it is.
"""
import re
import sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def pin(requirement: str # such as "fastcore>=1.12.3,<2"
       ) -> str:         # such as "fastcore==1.12.3"
    "One requirement at its lower bound."
    return re.sub(r">=([^,]+).*", r"==\1", requirement)


def pins(keys:list # of settings.ini, such as "requirements"
        )->list:   # one pin per requirement
    "The requirements under some keys of settings.ini at their lower bounds."
    config = ConfigParser(delimiters=["="])
    config.read(ROOT/"settings.ini", encoding="utf-8")
    table = config["DEFAULT"]
    unknown = [key for key in keys if key not in table]
    if unknown:
        known = [key for key in table if key.endswith("requirements")]
        raise SystemExit(f"no key {', '.join(unknown)} in settings.ini: use {', '.join(known)}")
    return [pin(requirement) for key in keys for requirement in table[key].split()]


if __name__ == "__main__":
    print("\n".join(pins(sys.argv[1:] or ["requirements"])))
