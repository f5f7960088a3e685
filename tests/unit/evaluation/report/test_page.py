import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_example.evaluation import example_evaluation, example_history
from report_example.heads import example_cases, example_images

import mri_cyclegan
from mri_cyclegan.evaluation.audits.audit import legend
from mri_cyclegan.evaluation.protocol import WHY_TRAINING_METRICS_DIFFER
from mri_cyclegan.evaluation.report.cases import Case, slice_strips
from mri_cyclegan.evaluation.report.page import write_report

VOID = {"meta", "img", "input", "br", "link"}
HEADINGS = ["Results", "Audits", "Cases", "Figures", "Without pairs", "Subjects", "Protocol", "Provenance"]


class Page(HTMLParser):
    """Elements of a page, and the text of each; refuses what is not closed."""

    def __init__(self, text):
        super().__init__()
        self.raw, self.elements, self.open = text, [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [e for e in self.elements if e["tag"] == tag and wanted.items() <= e.items()]

    def texts(self, tag, **attributes):
        return [" ".join(element["text"].split()) for element in self.all(tag, **attributes)]

    @property
    def text(self):
        return " ".join(self.all("body")[0]["text"].split())


@pytest.fixture(scope="module")
def cases():
    return {direction: example_cases(direction) for direction in ("ab", "ba")}


@pytest.fixture
def write(tmp_path):
    def write_and_parse(evaluation, cases):
        # Two of the metrics draw as many figures as it takes.
        metrics = {name: evaluation["metrics"][name] for name in ("psnr", "nmse")}
        write_report(tmp_path / "report.html", evaluation | {"metrics": metrics}, cases, [])
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return write_and_parse


@pytest.fixture(scope="module")
def page(tmp_path_factory, cases):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, example_evaluation(), cases, example_history())
    return Page(path.read_text(encoding="utf-8"))


def test_sections_stand_in_their_order_and_the_verdict_before_them(page):
    assert page.texts("h2") == HEADINGS
    places = [page.raw.index(text) for text in ("above copy", "<b>Warning</b>", "<table", 'id="audits"', "<footer>")]
    assert places == sorted(places)
    assert page.texts("title") == ["Evaluation: baseline"]
    assert "20 test subjects; axial slices; evaluated 2026-11-24 15:30" in page.text


def test_nothing_is_loaded_from_elsewhere(page):
    assert "http:" not in page.raw
    assert "https:" not in page.raw
    links = [element[name] for element in page.elements for name in ("src", "href") if element.get(name)]
    assert all(link.startswith(("data:image/", "#")) for link in links)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", page.raw)
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


def test_it_says_where_the_foreground_is(page):
    assert "cut half-way between its minimum and Otsu's threshold" in page.text


def test_links_lead_to_places_on_the_page_and_ids_are_its_own(page):
    ids = Counter(element["id"] for element in page.elements if "id" in element)
    assert set(ids.values()) == {1}
    assert {element["href"][1:] for element in page.all("a")} <= set(ids)
    assert {element["aria-labeledby"] for element in page.all("section")} <= set(ids)


def test_the_page_can_be_used_without_seeing_it(page):
    pictures = [element for element in page.all("img") if "src" in element]
    assert len(pictures) == 6 + 2 * 8 + 1
    assert all(len(element["alt"]) > 20 for element in pictures)
    for control in page.all("input") + page.all("button") + page.all("nav") + page.all("div", role="region"):
        assert control["aria-label"]
    assert all(output["aria-live"] == "polite" for output in page.all("output"))
    assert [len(page.all(landmark)) for landmark in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    # Whatever scrolls sideways can be reached with the keyboard.
    assert all(element["tabindex"] == "0" for element in page.all("div", class_="scroll"))


def test_the_model_comes_first_and_the_best_baseline_is_marked(page):
    first_table = page.raw[page.raw.index("<table") : page.raw.index("</table>")]
    assert re.findall(r'<tr class="(\w+)"', first_table) == ["model", "gain", *["baseline"] * 3, "oracle"]
    table = Page(first_table + "</table>")
    assert len(table.all("b", class_="best")) == 6
    assert "PSNR (dB) ↑, higher is better" in table.texts("th")
    assert "MAE ↓, lower is better" in table.texts("th")


def test_audits_say_their_level_in_words_trouble_first(page):
    text = page.text[page.text.index("What a good score does not show") : page.text.index("Subjects in the order")]
    assert legend() in text
    found = re.findall(r"(red|amber|unknown|green)(?=[A-Z])", text)
    assert found == ["red", *["amber"] * 2, "unknown", *["green"] * 7]
    assert page.texts("li")[3:7] == ["✕1 red", "!2 amber", "?1 unknown", "✓7 green"]
    assert "31 % of 42 lesions lost" in text
    assert "Do not use these outputs to look for lesions." in text


def test_it_says_why_the_curves_metrics_differ_from_the_results(page):
    assert WHY_TRAINING_METRICS_DIFFER in page.text
    (section,) = re.findall(r'see docs/protocol.md, "(.*)"', WHY_TRAINING_METRICS_DIFFER)
    protocol = Path(mri_cyclegan.__file__).parents[1] / "docs" / "protocol.md"
    assert f"## {section}\n" in protocol.read_text(encoding="utf-8")


def test_every_slice_is_in_the_page_once_and_the_middle_one_needs_no_script(page, cases):
    contents = [json.loads(text) for text in page.texts("script", type="application/json")]
    all_cases = [*cases["ab"], *cases["ba"]]
    assert len(contents) == len(all_cases)
    for case, content in zip(all_cases, contents):
        middle = len(case.slices) // 2
        assert content["numbers"] == case.slice_numbers
        assert content["slices"] == [*case.slices[:middle], None, *case.slices[middle + 1 :]]
    shown = [e["src"] for e in page.all("img") if e.get("src", "").startswith("data:image/webp")]
    assert shown == [case.slices[len(case.slices) // 2] for case in all_cases]
    # Both directions show the same made-up subjects.
    assert page.raw.count(cases["ab"][0].slices[0]) == 2
    assert page.raw.count(cases["ab"][0].slices[2]) == 2


def test_panels_are_named_by_their_contrasts(page):
    labels = [re.sub(r" ≥.*", "", text) for text in page.texts("span") if text.startswith(("source", "output", "true"))]
    assert labels == ["source T1w", "output T2w", "true T2w"] * 3 + ["source T2w", "output T1w", "true T1w"] * 3
    assert "linear-gradient(to right, #000004" in page.raw


def test_names_are_shown_as_they_are(write):
    evaluation = example_evaluation(2)
    name = "<b>sub</b>&\"'</script>"
    evaluation["subjects"][0]["subject"] = evaluation["title"] = name
    evaluation["verdict"] = [f"{name} is good"]
    evaluation["provenance"] = {name: name}
    evaluation["audits"][0] |= {"name": name, "figure": name, "meaning": name}
    evaluation["subjects"][0]["ways"]["ab"]["tissues"] = {name: {"target": 0.5, "output": 0.4}}
    case = Case("worst", name, 0.5, [3], ["data:image/webp;base64,AAAA"])
    page = write(evaluation, {"ab": [case], "ba": [case]})
    assert "<b>sub</b>" not in page.raw
    assert page.text.count(name) >= 8
    assert name in page.all("img", src="data:image/webp;base64,AAAA")[0]["alt"]
    assert page.texts("h2") == HEADINGS


def test_without_pairs_the_page_says_so_and_shows_the_rest(write):
    cases = {direction: [replace(case, label="") for case in example_cases(paired=False)] for direction in ("ab", "ba")}
    page = write(example_evaluation(6, paired=False), cases)
    assert page.texts("h2") == HEADINGS
    assert "there is no truth to compare with" in page.text
    assert "95 %" in page.text[page.text.index("Subject matching") :]
    assert "chance 17 %, 6 subjects" in page.text
    labels = [text for text in page.texts("span") if text.startswith(("source", "output", "true", "error"))]
    assert labels == ["source T1w", "output T2w"] * 3 + ["source T2w", "output T1w"] * 3
    assert "Box plot" not in page.raw
    assert "no Bland–Altman plot" in page.text
    assert "|output − truth|" not in page.text


def test_unpaired_figures_are_shown_with_pairs_too(page):
    for words in ("Wasserstein distance", "0.0312", "Spectrum distance (dB)", "chance 5 %, 20 subjects", "no network"):
        assert words in page.text


def test_feature_distances_name_their_network(write):
    evaluation = example_evaluation(3)
    evaluation["unpaired"]["ab"]["fid"] = {"features": "inception", "fid": 80.12, "kid": 0.0512, "num_images": 300}
    page = write(evaluation, {})
    assert "80.1inception, 300 images" in page.text
    assert "0.051" in page.text


def test_a_folder_of_predictions_has_one_direction_and_may_lack_sources(write):
    evaluation = example_evaluation(4, directions=("ab",))
    for method in ("copy", "histogram matching", "oracle look-up table"):
        del evaluation["summary"]["ab"][method]
    evaluation["methods"] = list(evaluation["summary"]["ab"])
    for subject in evaluation["subjects"]:
        metrics = subject["ways"]["ab"]["metrics"]
        subject["ways"]["ab"]["metrics"] = {method: metrics[method] for method in evaluation["methods"]}
    evaluation["unpaired"]["ab"]["subject_matching"] = None
    evaluation |= {"part": "all", "uncertainty": None}
    numbers, strips = slice_strips(replace(example_images(), source=None, source_foreground=None), 3)
    page = write(evaluation, {"ab": [Case("median", "sub-1", 0.7, numbers, strips)]})
    labels = [text for text in page.texts("span") if text.startswith(("source", "output", "true", "error"))]
    assert labels == ["output T2w", "true T2w", "error ≥ 0.5"]
    assert "T2w → T1w" not in page.text
    assert "No learning curves" in page.text
    assert "4 subjects; axial" in page.text


def test_a_single_subject_and_a_single_slice(write):
    """A single one has no interval, and this one chose the epoch."""
    evaluation = example_evaluation(1) | {"part": "val", "chose_epoch": ["sub-021"]}
    case = Case("median", "sub-021", 0.7, [17], ["data:image/webp;base64,AAAA"])
    page = write(evaluation, {"ab": [case], "ba": []})
    assert "1 validation subject, on whom the epoch was chosen; axial slices" in page.text
    assert "T1w → T2w, foreground, 1 subject " in page.text
    assert "A single subject: there is no interval." in page.text
    assert "bootstrap interval of the mean" not in page.text
    deviations = page.raw[page.raw.index(">standard deviation<") :]
    assert re.findall("<td>(.*?)</td>", deviations)[:2] == ["–", "–"]
    assert "one subject: no limits" in page.text
    assert page.texts("output") == ["slice 17"]
    assert json.loads(page.texts("script", type="application/json")[0]) == {"numbers": [17], "slices": [None]}
    assert "No pictures were made of this direction." in page.text


def test_a_subject_without_a_pair_among_others_is_listed(write):
    evaluation = example_evaluation(3)
    evaluation["subjects"][1]["ways"]["ab"] |= {"metrics": {}, "tissues": {}}
    del evaluation["subjects"][2]["ways"]["ba"]
    page = write(evaluation, {})
    assert "sub-022 no pair" in page.text
    assert "T1w → T2w, foreground, 2 subjects" in page.text
    assert page.text.count("sub-023") == 1


def test_subjects_have_all_their_numbers(page):
    measured = example_evaluation()["subjects"][4]["ways"]["ba"]
    rows = page.text[page.text.rindex("sub-025") : page.text.rindex("sub-026")]
    for region in ("foreground", "whole"):
        for method in measured["metrics"].values():
            assert f"{method[region]['psnr']:.2f}" in rows
            assert f"{method[region]['nmse']:.4f}" in rows
    assert f"gm {measured['tissues']['gm']['output']:.3f}, true" in rows
    assert "unlike training intensity histogram" in page.text


def test_many_warnings_do_not_push_the_results_away(write):
    evaluation = example_evaluation(2) | {"warnings": [f"doubt {number}" for number in range(40)]}
    page = write(evaluation, {})
    assert page.texts("summary")[0] == "36 more warnings"
    assert all(f"Warning doubt {number}" in page.texts("li") for number in range(40))


def test_other_protocols_and_resampling_are_told(write):
    evaluation = example_evaluation(2) | {"resampled_targets": True}
    for subject in evaluation["subjects"]:
        subject["ways"]["ab"]["num_scales"] = 3
    page = write(evaluation, {})
    assert (
        "Targets were resampled onto the grid of their source, and count as far as they reach; their place" in page.text
    )
    assert "MS-SSIM has 3 to 5 scales instead of 5" in page.text


def test_registered_targets_are_told_with_how_far_they_moved(write):
    evaluation = example_evaluation(3) | {"resampled_targets": True}
    for subject, shift in zip(evaluation["subjects"][:2], (1.25, 5.04)):
        registration = {"shift_mm": shift, "rotation_degrees": shift / 2}
        registration |= {"mutual_information": 0.5, "mutual_information_before": 0.5 - shift / 100}
        subject["pairing"] = {"difference": "…", "registration": registration}
    text = write(evaluation, {}).text
    assert "2 of them after a rigid registration: moved by at most 5.0 mm and 2.5°" in text
    assert "higher by 0.013 to 0.050." in text


def test_figures_say_what_they_show(page):
    alts = [element["alt"] for element in page.all("img") if "src" in element]
    assert sum(alt.startswith("Box plot of PSNR (dB), higher is better. CycleGAN: median 22") for alt in alts) == 2
    assert any(re.match(r"Bland–Altman plot .* gm −0\.0\d\d \(−0\.\d{3} to", alt) for alt in alts)
    assert any("where it is 0.120 the error is 0.083" in alt for alt in alts)
    assert any(alt.startswith("Losses and validation metrics over 30 epochs.") for alt in alts)
    assert "rank correlation with the error is 0.58" in page.text


def test_provenance_has_every_key(page):
    for words in ("model_sha256.ba", "best epoch on validation, 87", "training.max_epochs200", "versions.monai1.6.1"):
        assert words in page.text
    assert page.text.count("not for diagnostic use") == 2


def test_twenty_subjects_make_a_page_of_a_few_megabytes(tmp_path):
    # Noisy heads that fill the picture: the worst to compress. The same few slices over and over, to be quick.
    images = example_images(shape=(6, 224, 224))
    _, strips = slice_strips(images, 6)
    case = Case("worst", "sub-021", 0.6, list(range(24)), strips * 4)
    write_report(
        tmp_path / "report.html", example_evaluation(), {"ab": [case] * 3, "ba": [case] * 3}, example_history()
    )
    assert 3e6 < (tmp_path / "report.html").stat().st_size < 10e6
