"""HTML pages from the templates of the package."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment() -> Environment:
    """Jinja environment of the package's templates; a misspelled variable in a template is an error."""
    return Environment(
        loader=PackageLoader("mri_cyclegan"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
