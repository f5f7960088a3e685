"""Evaluates a finished run, or an ensemble of runs, with the protocol."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import track

from mri_cyclegan.data.findings import Finding, UnfitData, UnfitFile
from mri_cyclegan.data.layouts import LayoutSettings, Scan
from mri_cyclegan.data.layouts.detection import detect_layout
from mri_cyclegan.data.register import require_simpleitk
from mri_cyclegan.data.source_hash import SourceHashes
from mri_cyclegan.evaluation.audits.levels import most_serious_audit
from mri_cyclegan.evaluation.audits.pairing import assess_pairing
from mri_cyclegan.evaluation.baselines import FittedBaselines
from mri_cyclegan.evaluation.finished_run import ALL, FinishedRun
from mri_cyclegan.evaluation.fit_baselines import fit_references
from mri_cyclegan.evaluation.metrics.features import find_weights, load_feature_network
from mri_cyclegan.evaluation.protocol import PROTOCOL_VERSION
from mri_cyclegan.evaluation.results import Evaluation, assemble, create_output_folder
from mri_cyclegan.evaluation.run_metrics import METHOD, VERSION, RunMetrics
from mri_cyclegan.evaluation.subjects.labels import label_files
from mri_cyclegan.evaluation.subjects.records import Record, RecordFolder
from mri_cyclegan.evaluation.subjects.subject import Subject, find_unaligned, list_subjects
from mri_cyclegan.evaluation.subjects.subject_translator import SubjectTranslator
from mri_cyclegan.inference.devices import choose_device
from mri_cyclegan.inference.volume_translator import TEST_TIME_VIEWS, View
from mri_cyclegan.provenance import provenance
from mri_cyclegan.text import listing

# Fields of a model's description that do not affect the metrics.
NOT_MEASURED = {"evaluation", "license", "intended_use", "limits"}


@dataclass(frozen=True)
class Options:
    """Options of an evaluation.

    Attributes:
        part: ``"test"`` (falls back to ``"val"`` if there are no test subjects), ``"val"``, or ``"all"`` subjects.
        data_root: folder of the data set; None for the one that the run was trained on.
        layout: layout of that data set; None for the layout of training.
        pairs: how scans on different grids are compared, see :data:`mri_cyclegan.data.pairs.RULES`; None for the run's
            own setting.
        skip_unfit: leave out subjects whose files are unfit or not aligned, with a warning.
        test_time_augmentation: average the outputs over flips and shifts of the input.
        feature_weights: weights file of the feature network for FID and KID; None searches torch's hub folder.
        device: where to compute; None for a GPU if available.
    """

    part: str = "test"
    data_root: Path | None = None
    layout: LayoutSettings | None = None
    pairs: str | None = None
    skip_unfit: bool = False
    test_time_augmentation: bool = False
    feature_weights: Path | None = None
    device: str | None = None


def evaluate_runs(folders: Sequence[Path], output: Path, options: Options) -> Evaluation:
    """Evaluate one run, or the ensemble of several.

    Args:
        folders: run folders; data set and split are taken from the first.
        output: folder of the results; an interrupted evaluation with the same settings resumes from it.
        options: of the evaluation.

    Raises:
        ValueError: a folder is not a finished run, no subject is left, the runs' contrasts differ, or files are unfit;
            the message names them.
    """
    runs = [FinishedRun(folder) for folder in folders]
    run = runs[0]
    _require_same_contrasts(runs)
    create_output_folder(output)
    device = choose_device(options.device)
    root = run.data_root if options.data_root is None else options.data_root.expanduser()
    is_own = options.data_root is None or _is_same_folder(root, run)
    if not root.is_dir():
        raise ValueError(f"{root}: the data set is not there. Give its folder with --data-root.")
    found = run.scans(root, options.layout)
    warnings = [str(finding) for finding in found.findings]
    rule = options.pairs or run.pairs
    if rule == "register":
        require_simpleitk("data.pairs=register" if options.pairs is None else "--pairs register")
    part, subjects = _choose(run, found.scans, options, root)
    warnings += _missing_subjects_warning(run, found.scans, part)
    if not is_own:
        warnings.append("This is not the folder trained on: subjects are taken for those trained on by their names.")
    subjects = _without_unaligned(subjects, run, options, rule, warnings)
    views = TEST_TIME_VIEWS if options.test_time_augmentation else (View(),)
    translating = SubjectTranslator([one.model.translator(device) for one in runs], views, run.read_options, root, rule)
    features = find_weights(options.feature_weights)
    settings = {
        "version": [VERSION, version("mri-cyclegan")],
        "protocol": PROTOCOL_VERSION,
        "models": [one.model.description.model_dump(mode="json", by_alias=True, exclude=NOT_MEASURED) for one in runs],
        "options": {**asdict(run.read_options), "pairs": rule, "views": len(views)},
        "features": None if features is None else SourceHashes(output / "subjects" / "sources").of(features),
    }
    references, look_up_table_subjects = _references(
        run, translating, found.scans, subjects, RecordFolder(output / "subjects", settings), is_own
    )
    settings["references"] = {direction: of_direction.digest() for direction, of_direction in references.items()}
    records = RecordFolder(output / "subjects", settings)
    network = None if features is None else load_feature_network(features).to(device)
    measuring = RunMetrics(run, translating, references, network)
    gathered, refused = _measure_all(subjects, records, measuring, root, run.name)
    errors = [finding for finding in refused if finding.severity == "error"]
    if errors and not options.skip_unfit:
        raise UnfitData(errors, len(subjects), "Repair them, or leave these subjects out with --skip-unfit.")
    warnings += [f"Left out: {finding}" for finding in refused]
    if not gathered:
        raise ValueError(f"{root}: no subject is left to evaluate." + "".join(f"\n- {line}" for line in warnings))
    evaluated = [subject.name for subject in subjects]
    return assemble(
        title=run.name if len(runs) == 1 else f"{run.name}, ensemble of {len(runs)} runs",
        method=METHOD,
        contrasts=run.model.contrasts,
        part=part,
        plane=translating.plane,
        records=gathered,
        audits=[most_serious_audit([assess_pairing(one.split, evaluated) for one in runs])],
        uncertainty_kind=_uncertainty_kind(len(runs), len(views)),
        warnings=[
            *warnings,
            *(warning for record in gathered for warning in record.values["doubts"]),
            *_out_of_domain(gathered, run.model.contrasts),
        ],
        provenance=provenance(device) | _provenance_of(runs) | {"look-up table fitted on": look_up_table_subjects},
        history=run.history,
        chose_epoch={
            name for one in runs if one.model.description.training.chose_epoch for name in one.subjects_in("val")
        },
    )


def _measure_all(
    subjects: Sequence[Subject], records: RecordFolder, measuring: RunMetrics, root: Path, name: str
) -> tuple[list[Record], list[Finding]]:
    """Records of all subjects, measured unless cached, and findings for the subjects that cannot be measured."""
    gathered, refused = [], []
    for subject in track(subjects, f"Evaluating {escape(name)}", transient=True):
        paths = [*subject.paths, *label_files(root, subject.name, subject.session, subject.scan)]
        try:
            record = records.find(subject.key, paths)
            if record is None:
                measured = measuring(subject)
                hashes = {letter: records.sources.of(scan.path) for letter, scan in subject.scans.items()}
                record = Record({**measured.values, "hashes": hashes}, measured.arrays)
                records.save(subject.key, paths, record)
            gathered.append(record)
        except UnfitFile as error:
            refused.append(error.finding)
    return gathered, refused


def _references(
    run: FinishedRun,
    translating: SubjectTranslator,
    scans: Sequence[Scan],
    subjects: Sequence[Subject],
    records: RecordFolder,
    is_own: bool,
) -> tuple[dict[str, FittedBaselines], str]:
    """Fitted reference methods, and text that says what the look-up table was fitted on.

    In another data set no scan counts as a training scan, even if subject names match.
    """
    training: dict[str, list[Scan]] = {"a": [], "b": []}
    validation: list[Subject] = []
    if is_own:
        for letter, contrast in zip("ab", run.model.contrasts, strict=True):
            scans_in = run.scans_in(scans, f"train_{letter}")
            training[letter] = [scan for scan in scans_in if scan.contrast == contrast]
        validation = list_subjects(run.scans_in(scans, "val"), run.model.contrasts, run.read_options)
    unfit = find_unaligned(validation, run.read_options, translating.rule)
    pairs = [subject for subject in validation if subject.is_paired and subject.key not in unfit]
    others = {subject.key for subject in pairs} - {subject.key for subject in subjects}
    look_up_table_subjects = "validation pairs" if others else "the evaluated pairs themselves"
    return fit_references(run, translating, training, subjects, pairs or subjects, records), look_up_table_subjects


def _is_same_folder(root: Path, run: FinishedRun) -> bool:
    return "root" in run.split and root.resolve() == run.data_root.resolve()


def _missing_subjects_warning(run: FinishedRun, scans: Sequence[Scan], part: str) -> list[str]:
    """A warning if subjects of the evaluated part are missing from the data set."""
    if part == ALL:
        return []
    names = sorted(set(run.subjects_in(part)) - {scan.subject for scan in scans})
    return [f"Not there: {len(names)} of the subjects in the run's split: {listing(sorted(names))}."] if names else []


def _require_same_contrasts(runs: Sequence[FinishedRun]) -> None:
    for run in runs[1:]:
        if run.model.contrasts != runs[0].model.contrasts:
            raise ValueError(
                f"{run.folder}: translates {' and '.join(run.model.contrasts)}, but {runs[0].folder} "
                f"{' and '.join(runs[0].model.contrasts)}. An ensemble needs runs of the same contrasts."
            )


def _choose(run: FinishedRun, scans: Sequence[Scan], options: Options, root: Path) -> tuple[str, list[Subject]]:
    """Part and subjects to evaluate; falls back to validation subjects if there are no test subjects."""
    part = options.part
    chosen = run.scans_in(scans, part)
    if part == "test" and not chosen:
        part, chosen = "val", run.scans_in(scans, "val")
    if not scans:
        raise ValueError(_no_scan_message(root, options.layout or run.layout_settings))
    if not chosen:
        raise ValueError(
            f"{root}: no {options.part} subject of {run.folder} is there, but {len({scan.subject for scan in scans})} "
            f"others, such as {scans[0].subject}. Evaluate every subject in it with --split all, or give the folder of "
            "the data set trained on with --data-root."
        )
    return part, list_subjects(chosen, run.model.contrasts, run.read_options)


def _no_scan_message(root: Path, settings: LayoutSettings) -> str:
    """Error message: what was searched for, and the arguments that match the detected layout."""
    sought = f"{root}: no scan is found as {' or '.join(settings.searched())}, as in training."
    try:
        found = detect_layout(root)
    except ValueError as error:
        return f"{sought} {error} Give the folder of a data set with --data-root."
    patterns = [f"--pattern-{letter} '{pattern}'" for letter, pattern in zip("ab", found.patterns, strict=False)]
    arguments = [f"--layout {found.layout}", *patterns, f"--contrasts {','.join(found.contrasts)}"]
    return f"{sought} The folder looks like {' '.join(arguments)}: give these arguments."


def _without_unaligned(
    subjects: list[Subject], run: FinishedRun, options: Options, rule: str, warnings: list[str]
) -> list[Subject]:
    """Drop pairs that cannot be compared under the rule, or raise unless ``skip_unfit``."""
    findings = find_unaligned(subjects, run.read_options, rule)
    if findings and not options.skip_unfit:
        advice = (
            "Register and resample these targets, or compare them by their place in the scanner (--pairs space, or "
            "--pairs register; the report says so), or leave the subjects out with --skip-unfit."
        )
        raise UnfitData(list(findings.values()), sum(len(subject.scans) for subject in subjects), advice)
    warnings += [f"Left out: {finding}" for finding in findings.values()]
    return [subject for subject in subjects if subject.key not in findings]


def _uncertainty_kind(num_runs: int, num_views: int) -> str | None:
    words = [f"ensemble of {num_runs} runs"] if num_runs > 1 else []
    words += ["test-time augmentation"] if num_views > 1 else []
    return " with ".join(words) or None


def _out_of_domain(records: Sequence[Record], contrasts: Sequence[str]) -> list[str]:
    """One warning per scan that is out of distribution for its contrast."""
    return [
        f"{record.values['subject']}: the {contrasts['ab'.index(direction[0])]} is unlike those trained on: "
        f"{'; '.join(values['out_of_domain'])}."
        for record in records
        for direction, values in record.values["ways"].items()
        if values.get("out_of_domain")
    ]


def _provenance_of(runs: Sequence[FinishedRun]) -> dict[str, Any]:
    run = runs[0]
    return {
        "runs": [str(one.folder) for one in runs],
        "model_sha256": [one.model.hashes for one in runs] if len(runs) > 1 else run.model.hashes,
        "weights": run.model.description.training.weights,
        "training": {
            "experiment": run.name,
            "seed": run.setting("seed", int),
            "epochs": run.setting("trainer.max_epochs", int),
            "training subjects": {
                contrast: len(run.split["subjects"][part])
                for part, contrast in zip(("train_a", "train_b"), run.model.contrasts, strict=True)
            },
        },
    }
