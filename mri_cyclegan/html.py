"""HTML pages from the templates of the package."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment() -> Environment:
    """Where the pages' templates are found; a variable that a template misspells is an error."""
    return Environment(
        loader=PackageLoader("mri_cyclegan"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
