"""The option ``--trust`` of the commands that load a model."""

from typing import Annotated

import typer

TrustOption = Annotated[
    list[str] | None,
    typer.Option("--trust", metavar="CLASS", help="Your own generator, such as my_lab.nets.Generator; repeatable."),
]
