"""Settings of the split into training, validation and test subjects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """How subjects are split; each attribute is a key of the config group ``data``.

    The split comes from ``split_file``, ``split_column`` or ``num_folds``, whichever is set; else from the data set's
    own ``train``, ``val`` and ``test`` folders if it has any; else it is drawn by the shares.

    Attributes:
        split_file: ``split.json`` of an earlier run; every subject keeps its part.
        split_column: column of ``participants.tsv`` with each subject's part.
        num_folds: number of cross-validation folds; one of them is the test part.
        fold: the test fold, in [0, ``num_folds``).
        val_share: share of the candidates that validate, in [0, 1); with folds, of those outside the test fold.
        test_share: share of the candidates that test, in [0, 1); without effect with folds.
        stratify_by: column of ``participants.tsv``; the subjects of each value are split separately.
        split_seed: seed of all random draws.
        allow_paired_subjects: train on both contrasts of a subject that has both; otherwise on one of them.

    Raises:
        ValueError: keys exclude each other, or a value is out of range.
    """

    split_file: str | None
    split_column: str | None
    num_folds: int | None
    fold: int
    val_share: float
    test_share: float
    stratify_by: str | None
    split_seed: int
    allow_paired_subjects: bool

    def __post_init__(self) -> None:
        self._refuse_conflicts()
        self._check_folds()
        if self.split_file is None and self.split_column is None:
            self._check_shares()

    def rule(self, part_folders: Sequence[str] = ()) -> dict[str, Any]:
        """Settings that determine the split; those without effect are left out.

        Args:
            part_folders: parts that the data set has folders for, if the folders determine the split.
        """
        own = ["split_seed", "allow_paired_subjects"]
        if part_folders:
            names = [*([] if "val" in part_folders else ["val_share"]), *own]
            return {"folders": list(part_folders)} | {name: getattr(self, name) for name in names}
        if self.split_file is not None:
            names = ["split_file", "allow_paired_subjects"]
        elif self.split_column is not None:
            names = ["split_column", *own]
        elif self.num_folds is not None:
            names = ["num_folds", "fold", "val_share", "stratify_by", *own]
        else:
            names = ["val_share", "test_share", "stratify_by", *own]
        return {name: getattr(self, name) for name in names}

    def deciding_keys(self, part_folders: Sequence[str] = ()) -> str:
        """Settings or folders that determine the size of each part, for messages."""
        if part_folders:
            return f"the data set's folders {', '.join(part_folders)}"
        names = ("split_file", "split_column", "num_folds", "val_share", "test_share")
        return ", ".join(f"data.{name}={value}" for name, value in self.rule().items() if name in names)

    def _refuse_conflicts(self) -> None:
        exclusive_keys = self._keys_that_are_set("split_file", "split_column", "num_folds")
        if len(exclusive_keys) > 1:
            raise ValueError(
                f"{' and '.join(exclusive_keys)}: each alone decides who is where. Set all but one to null."
            )
        if self.stratify_by is not None and self.num_folds is None and exclusive_keys:
            raise ValueError(
                f"data.stratify_by={self.stratify_by} has no effect with {exclusive_keys[0]}, which draws nothing. "
                "Set one of them to null."
            )

    def _keys_that_are_set(self, *names: str) -> list[str]:
        return [f"data.{name}={getattr(self, name)}" for name in names if getattr(self, name) is not None]

    def _check_folds(self) -> None:
        if self.num_folds is None:
            if self.fold != 0:
                raise ValueError(
                    f"data.fold={self.fold} has no effect without folds. Set data.num_folds to their number."
                )
            return
        if not isinstance(self.num_folds, int) or self.num_folds < 2:
            raise ValueError(f"data.num_folds: expected a whole number from 2, or null, got {self.num_folds!r}.")
        if self.fold not in range(self.num_folds):
            raise ValueError(
                f"data.fold: expected 0 to {self.num_folds - 1} (data.num_folds={self.num_folds}), got {self.fold!r}."
            )

    def _check_shares(self) -> None:
        if self.num_folds is not None:
            if not 0 <= self.val_share < 1:
                raise ValueError(f"data.val_share: expected at least 0 and under 1, got {self.val_share}.")
        elif not (self.val_share >= 0 and self.test_share >= 0 and self.val_share + self.test_share < 1):
            raise ValueError(
                "data.val_share and data.test_share: expected at least 0 and under 1 together, "
                f"got {self.val_share} and {self.test_share}."
            )
