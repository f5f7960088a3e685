"""Every file of the repository but tests, with one line on what it is: the first line of its docstring or comment.

python tests/tree.py
"""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def line_of(path: Path) -> str:
    """What a file says of itself first."""
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
    if path.suffix in (".yaml", ".md", ".sh"):
        lines = path.read_text(encoding="utf-8").splitlines()
        told = [line.lstrip("# ") for line in lines if re.match(r"#+ (?!@package)", line)]
        return told[0] if told else ""
    return ""


def main() -> None:
    """Print them, and how many lines the package has."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    names = [name for name in names if not name.startswith("tests/")]
    width = max(map(len, names))
    for name in names:
        print(f"{name:<{width}}  {line_of(ROOT / name)}".rstrip())
    modules = [ROOT / name for name in names if name.endswith(".py")]
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in modules]
    print(f"\n{len(modules)} modules, {sum(lengths)} lines, the longest {max(lengths)}")


if __name__ == "__main__":
    main()
