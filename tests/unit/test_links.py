from mri_cyclegan.links import leads_out


def test_a_path_leads_out_by_a_link_or_by_dots(tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (folder / "inner").mkdir(parents=True)
    elsewhere.mkdir()
    for name, target in (("out", elsewhere), ("up", ".."), ("in", "inner"), ("loop", "loop"), ("broken", "/none")):
        (folder / name).symlink_to(target)
    (tmp_path / "link").symlink_to(folder)
    for name in ("out", "out/deeper", "up/elsewhere", "..", "inner/../..", "/etc", "broken"):
        assert leads_out(folder / name, folder), name
    for name in ("", "inner", "in/deeper", "none/deeper", "up/folder/inner", "loop"):
        assert not leads_out(folder / name, folder), name
        assert not leads_out(tmp_path / "link" / name, folder), name
