"""docs/doctor.md is the list of all findings of `cdc check`: it has exactly the subjects that the code says."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of findings whose subject is a key of the connector file, chosen by the code at hand (cdc.processes.check).
_CHOSEN = {"exclude_columns", "mask_columns"}
# By these calls, in which argument: a finding's subject, or what becomes one.
_PLACES = {"Finding": 1, "Demand": 0, "Check": 0}


def _subjects(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _PLACES:
            place = _PLACES[node.func.id]
            argument = node.args[place] if len(node.args) > place else None
            if isinstance(argument, ast.Constant):
                found.add(str(argument.value))
        elif isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["SUBJECT"]:
            assert isinstance(node.value, ast.Constant)
            found.add(str(node.value.value))
    return found


def test_the_table_of_findings_has_the_subjects_of_the_code() -> None:
    files = [file for file in (ROOT / "cdc").rglob("*.py") if "Finding" in file.read_text()]
    said = set().union(*map(_subjects, files)) | _CHOSEN
    rows = re.findall(r"^\| (`[^|]+`) \|", (ROOT / "docs" / "doctor.md").read_text(), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert told == said
