"""Turn a model handle into a local folder of files; `berthub.sources.resolve` is the way in.

`handle` says what a text means, `catalogue` knows TensorFlow Hub's names, `fetch` speaks to each source,
`archive` unpacks safely, `checksum` holds files to their pins, `cache` keeps what came, and `resolve` puts
them together.
"""
