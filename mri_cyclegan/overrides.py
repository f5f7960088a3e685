"""Words of Hydra's command line."""


def quoted(value: object) -> str:
    r"""A value in Hydra's quotes where its grammar needs them.

    >>> quoted("/data/ixi-64"), quoted("my scans"), quoted("Prüfung"), quoted(3)
    ('/data/ixi-64', '"my scans"', '"Prüfung"', '3')
    """
    text = str(value)
    if text and all((letter.isascii() and letter.isalnum()) or letter in "/._-+" for letter in text):
        return text
    return '"' + text.replace('"', '\\"').replace("${", "\\${") + '"'
