from mri_cyclegan.evaluation.verdict import unbeaten_references, verdict

DIRECTIONS = {"ab": ["T1w", "T2w"]}


def summary(**methods):
    return {
        "ab": {
            name.replace("_", " "): {"foreground": {"psnr": {"mean": psnr}, "ssim": {"mean": ssim}}}
            for name, (psnr, ssim) in methods.items()
        }
    }


def test_a_model_above_everything_is_said_to_be_so_with_its_distance_from_the_oracle():
    measured = summary(CycleGAN=(22.0, 0.8), copy=(10.0, -0.1), mean_image=(18.0, 0.6))
    measured["ab"]["oracle look-up table"] = {"foreground": {"psnr": {"mean": 23.5}, "ssim": {"mean": 0.7}}}
    assert verdict(DIRECTIONS, measured, []) == [
        "T1w → T2w: above copy and mean image in PSNR and SSIM; PSNR 1.50 dB below and SSIM 0.100 above the voxel-wise "
        "oracle."
    ]
    assert unbeaten_references(measured["ab"]) == {}


def test_a_model_below_a_baseline_is_said_to_be_so_first():
    measured = summary(CycleGAN=(17.0, 0.7), copy=(10.0, -0.1), mean_image=(18.0, 0.7))
    assert verdict(DIRECTIONS, measured, []) == [
        "T1w → T2w: below mean image in PSNR and SSIM; above copy in PSNR and SSIM."
    ]
    assert unbeaten_references(measured["ab"]) == {"mean image": ["PSNR", "SSIM"]}


def test_without_pairs_nobody_knows():
    (sentence,) = verdict(DIRECTIONS, {"ab": {}}, [])
    assert sentence.startswith("T1w → T2w: no pairs")


def test_red_audits_are_named():
    audits = [
        {"name": "Copying", "way": "ab", "level": "red"},
        {"name": "Lesions", "way": "ab", "level": "amber"},
        {"name": "Pairing", "way": None, "level": "red"},
    ]
    sentences = verdict(DIRECTIONS, summary(CycleGAN=(17.0, 0.7), copy=(10.0, 0.1)), audits)
    assert sentences[-1] == "Audits in red: copying (T1w → T2w), pairing."
