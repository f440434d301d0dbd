"""`berthub serve`: serve models over HTTP."""

from berthub.cli.model_options import Computing, Fetching, LowerCase, Vocabulary
from berthub.cli.option_groups import with_groups
from berthub.cli.serve_options import Addressing, Bounding, Handles, Names, Operating, Threads
from berthub.cli.text_options import MaxLength

__all__ = ["serve"]


@with_groups
def serve(
    *,
    handles: Handles = None,
    name: Names = None,
    addressing: Addressing,
    max_length: MaxLength = None,
    bounding: Bounding,
    operating: Operating,
    computing: Computing,
    threads: Threads = None,
    lower_case: LowerCase = None,
    vocabulary: Vocabulary = None,
    fetching: Fetching,
) -> None:
    r"""Serve models over HTTP, for the clients that people have: OpenAI's, TEI's, TensorFlow Serving's, KServe's.

    Texts of all clients are computed together, as fast as the library does. A page to look at the model is at /, the
    description of all paths at /openapi.json, metrics at /metrics. It needs the extra serve of berthub.

      berthub serve
      berthub serve HANDLE --port 8080
      berthub serve --name bert=HANDLE --name reviews=RUN --api-key-file keys.txt

      curl localhost:8080/v1/embeddings \
        -H 'Content-Type: application/json' -d '{"input": ["A sentence."]}'

    SIGTERM ends it when what it took is done, SIGHUP loads all models anew without losing a request.
    """
    from berthub.cli.serve_run import run_server

    run_server(
        handles=handles or (),
        names=name or (),
        addressing=addressing,
        bounding=bounding,
        operating=operating,
        computing=computing,
        max_length=max_length,
        threads=threads,
        lower_case=lower_case,
        vocabulary=vocabulary,
        fetching=fetching,
    )
