"""Problems of files and data sets, each with its remedy."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, order=True)
class Finding:
    """One thing the owner of a data set should know.

    Attributes:
        severity: ``"error"``: the file is refused; ``"warning"``: it is used, or left out because it shows nothing.
        path: file or folder.
        problem: a clause or sentence with the numbers in it.
        remedy: what to do about it, a sentence.
    """

    severity: Literal["error", "warning"]
    path: Path
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem.rstrip('.')}. {self.remedy}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"path": str(self.path)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Finding":
        """Inverse of :meth:`as_json`."""
        return cls(content["severity"], Path(content["path"]), content["problem"], content["remedy"])


class UnfitFile(ValueError):
    """A file is unfit for training; the message is the text of its finding.

    Args:
        path: the file.
        problem: see :class:`Finding`.
        remedy: see :class:`Finding`.
    """

    severity: Literal["error", "warning"] = "error"

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        self.finding = Finding(self.severity, path, problem, remedy)
        super().__init__(str(self.finding))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, so that worker processes can raise it."""
        return type(self), (self.finding.path, self.finding.problem, self.finding.remedy)


class EmptyScan(UnfitFile):
    """A readable scan shows nothing; it is left out with a warning and never stops a run."""

    severity = "warning"


class UnfitData(ValueError):
    """Files of a data set are unfit for training; one message lists them all.

    Args:
        findings: errors and warnings; the message lists the errors.
        num_scans: number of files checked.
        advice: remedy for all of them.
    """

    def __init__(self, findings: Sequence[Finding], num_scans: int, advice: str) -> None:
        self.findings = sorted(findings)
        errors = [finding for finding in self.findings if finding.severity == "error"]
        listing = "\n".join(f"- {finding}" for finding in errors)
        super().__init__(
            f"{len(errors)} {'problem' if len(errors) == 1 else 'problems'} in {num_scans} scans:\n{listing}\n{advice}"
        )


@dataclass(frozen=True)
class ImageWarning:
    """A warning about an image whose file is not known yet.

    Attributes:
        problem: see :class:`Finding`.
        remedy: see :class:`Finding`.
    """

    problem: str
    remedy: str

    def of(self, path: Path) -> Finding:
        """The warning as a finding about a file."""
        return Finding("warning", path, self.problem, self.remedy)
